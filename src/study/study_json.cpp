// A study's parts as JSON documents and back.
#include "study/study_json.hpp"

#include <limits>

#include "smoothcert/error.hpp"
#include "store/codec.hpp"

namespace smoothcert::study {
namespace {

using nlohmann::json;

/// JSON has no NaN: it is written as null, and a diverged training shows in the report as such.
template <class T>
std::vector<T> read_numbers(const json& values) {
  std::vector<T> numbers;
  numbers.reserve(values.size());
  for (const auto& value : values)
    numbers.push_back(value.is_null() ? std::numeric_limits<T>::quiet_NaN() : value.get<T>());
  return numbers;
}

json shape_json(const ImageShape& shape) { return {shape.channels, shape.height, shape.width}; }

ImageShape read_shape(const json& value) {
  return {value.at(0).get<int>(), value.at(1).get<int>(), value.at(2).get<int>()};
}

}  // namespace

json certify_json(const CertifySettings& s) {
  return {{"sigma", s.sigma},
          {"n0", s.n0},
          {"n", s.n},
          {"alpha", s.alpha},
          {"seed", s.seed},
          {"noise", to_name(s.noise)},
          {"clamp", s.clamp},
          {"mode", to_name(s.mode)},
          {"p_b", to_name(s.p_b)}};
}

CertifySettings read_certify(const json& j) {
  CertifySettings s;
  s.sigma = j.at("sigma");
  s.n0 = j.at("n0");
  s.n = j.at("n");
  s.alpha = j.at("alpha");
  s.seed = j.at("seed");
  s.noise = store::stored_name<NoiseLaw>(j.at("noise").get<std::string>(), "study");
  s.clamp = j.at("clamp");
  s.mode = store::stored_name<Mode>(j.at("mode").get<std::string>(), "study");
  s.p_b = store::stored_name<SecondBound>(j.value("p_b", "complement"),
                                          "study");  // older ones do not say
  return s;
}

json head_json(const StudyResult& s) {
  return {{"title", s.title},
          {"program_version", s.program_version},
          {"arithmetic", s.arithmetic},
          {"started", s.started},
          {"command", s.command},
          {"backend", s.device},
          {"dataset", s.dataset_name},
          {"origin", s.dataset_origin},
          {"train_hash", s.train_hash},
          {"test_hash", s.test_hash},
          {"stand_in_data", s.stand_in_data},
          {"shape", shape_json(s.shape)},
          {"classes", s.classes},
          {"train_images", s.train_images},
          {"test_images", s.test_images},
          {"certify", certify_json(s.certify)},
          {"certified_images", s.certified_images},
          {"subset_note", s.subset_note},
          {"attacked_images", s.attacked_images},
          {"train_seed", s.train_seed},
          {"training_seconds", s.seconds_training},
          {"attacks_seconds", s.seconds_attacks},
          {"certify_seconds", s.seconds_certify},
          {"notes", s.notes}};
}

void read_head(const json& j, StudyResult& s) {
  s.title = j.at("title");
  s.program_version = j.at("program_version");
  s.arithmetic = j.at("arithmetic");
  s.started = j.at("started");
  s.command = j.at("command");
  s.device = j.at("backend");
  s.dataset_name = j.at("dataset");
  s.dataset_origin = j.at("origin");
  s.train_hash = j.at("train_hash");
  s.test_hash = j.at("test_hash");
  s.stand_in_data = j.at("stand_in_data");
  s.shape = read_shape(j.at("shape"));
  s.classes = j.at("classes");
  s.train_images = j.at("train_images");
  s.test_images = j.at("test_images");
  s.certify = read_certify(j.at("certify"));
  s.certified_images = j.at("certified_images");
  s.subset_note = j.at("subset_note");
  s.attacked_images = j.at("attacked_images");
  s.train_seed = j.at("train_seed");
  s.seconds_training = j.at("training_seconds");
  s.seconds_attacks = j.at("attacks_seconds");
  s.seconds_certify = j.at("certify_seconds");
  s.notes = j.at("notes").get<std::vector<std::string>>();
}

json history_json(const TrainHistory& h) {
  return {{"step_loss", h.step_loss},
          {"step_accuracy", h.step_accuracy},
          {"epoch_seconds", h.epoch_seconds}};
}

TrainHistory read_history(const json& j) {
  return {read_numbers<float>(j.at("step_loss")), read_numbers<float>(j.at("step_accuracy")),
          read_numbers<double>(j.at("epoch_seconds"))};
}

json record_json(const TrainingRecord& r) {
  return {{"regime", r.regime},   {"recipe", r.recipe}, {"sigma", r.sigma},
          {"epsilon", r.epsilon}, {"epochs", r.epochs}, {"seed", r.seed},
          {"dataset", r.dataset}, {"commit", r.commit}, {"backend", r.backend}};
}

TrainingRecord read_record(const json& j) {
  TrainingRecord r;
  r.regime = j.at("regime");
  r.recipe = j.at("recipe");
  r.sigma = j.at("sigma");
  r.epsilon = j.at("epsilon");
  r.epochs = j.at("epochs");
  r.seed = j.at("seed");
  r.dataset = j.at("dataset");
  r.commit = j.at("commit");
  r.backend = j.at("backend");
  return r;
}

json attacks_json(const std::vector<AttackReport>& attacks) {
  json list = json::array();
  for (const auto& a : attacks)
    list.push_back({{"attack", to_name(a.spec.kind)},
                    {"loss", to_name(a.spec.loss)},
                    {"epsilon", a.spec.epsilon},
                    {"steps", a.spec.steps},
                    {"step_size", a.spec.step_size},
                    {"random_start", a.spec.random_start},
                    {"restarts", a.spec.restarts},
                    {"seed", a.spec.seed},
                    {"images", a.images},
                    {"correct_cross_entropy", a.correct_cross_entropy},
                    {"correct_margin", a.correct_margin},
                    {"correct_worst", a.correct_worst},
                    {"zero_gradient", a.zero_gradient},
                    {"nan_gradient", a.nan_gradient},
                    {"seconds", a.seconds}});
  return list;
}

std::vector<AttackReport> read_attacks(const json& list) {
  std::vector<AttackReport> attacks;
  for (const auto& j : list) {
    AttackReport a;
    a.spec = attack_from_name(j.at("attack"));
    a.spec.loss = j.at("loss") == "margin" ? LossKind::margin : LossKind::cross_entropy;
    a.spec.epsilon = j.at("epsilon");
    a.spec.steps = j.at("steps");
    a.spec.step_size = j.at("step_size");
    a.spec.random_start = j.at("random_start");
    a.spec.restarts = j.at("restarts");
    a.spec.seed = j.at("seed");
    a.images = j.at("images");
    a.correct_cross_entropy = j.at("correct_cross_entropy");
    a.correct_margin = j.at("correct_margin");
    a.correct_worst = j.at("correct_worst");
    a.zero_gradient = j.at("zero_gradient");
    a.nan_gradient = j.value("nan_gradient", std::uint64_t{0});  // older stores do not count them
    a.seconds = j.at("seconds");
    attacks.push_back(a);
  }
  return attacks;
}

json model_json(const StudyModel& m) {
  json images = json::array();
  for (const auto& certificate : m.certificates) images.push_back(certificate.image);
  return {{"name", m.name},
          {"file", m.file},
          {"hash", m.hash},
          {"network", m.network},
          {"parameters", m.parameters},
          {"record", record_json(m.record)},
          {"clean_accuracy", m.clean_accuracy},
          {"attacks", attacks_json(m.attacks)},
          {"run_key", m.run_key},
          {"images", images},
          {"certify_seconds", m.certify_seconds}};
}

StudyModel read_model(const json& j) {
  StudyModel m;
  m.name = j.at("name");
  m.file = j.at("file");
  m.hash = j.at("hash");
  m.network = j.at("network");
  m.parameters = j.at("parameters");
  m.record = read_record(j.at("record"));
  m.clean_accuracy = j.at("clean_accuracy");
  m.attacks = read_attacks(j.at("attacks"));
  m.run_key = j.at("run_key");
  for (const auto& image : j.at("images")) m.certificates.emplace_back().image = image;
  m.certify_seconds = j.at("certify_seconds");
  return m;
}

json showcase_json(const std::vector<ShowcaseImage>& images) {
  json list = json::array();
  for (const auto& image : images) {
    json views = json::array();
    for (const auto& v : image.views)
      views.push_back({{"model", v.model},
                       {"prediction", v.prediction},
                       {"l2", v.l2},
                       {"linf", v.linf},
                       {"l2_prediction", v.l2_prediction},
                       {"linf_prediction", v.linf_prediction},
                       {"l2_zero_gradient", v.l2_zero_gradient},
                       {"linf_zero_gradient", v.linf_zero_gradient}});
    list.push_back({{"image", image.image},
                    {"label", image.label},
                    {"pixels", image.pixels},
                    {"views", views}});
  }
  return list;
}

std::vector<ShowcaseImage> read_showcase(const json& list) {
  std::vector<ShowcaseImage> images;
  for (const auto& j : list) {
    auto& image = images.emplace_back();
    image.image = j.at("image");
    image.label = j.at("label");
    image.pixels = j.at("pixels").get<std::vector<std::uint8_t>>();
    for (const auto& view : j.at("views")) {
      auto& v = image.views.emplace_back();
      v.model = view.at("model");
      v.prediction = view.at("prediction");
      v.l2 = view.at("l2").get<std::vector<std::uint8_t>>();
      v.linf = view.at("linf").get<std::vector<std::uint8_t>>();
      v.l2_prediction = view.at("l2_prediction");
      v.linf_prediction = view.at("linf_prediction");
      v.l2_zero_gradient = view.at("l2_zero_gradient");
      v.linf_zero_gradient = view.at("linf_zero_gradient");
    }
  }
  return images;
}

json demonstrations_json(const std::vector<NoiseDemonstration>& demonstrations) {
  json list = json::array();
  for (const auto& d : demonstrations) {
    json votes = json::array();
    for (const auto& v : d.votes)
      votes.push_back({{"model", v.model}, {"predictions", v.predictions}});
    list.push_back({{"image", d.image},
                    {"label", d.label},
                    {"pixels", d.pixels},
                    {"copies", d.copies},
                    {"votes", votes}});
  }
  return list;
}

std::vector<NoiseDemonstration> read_demonstrations(const json& list) {
  std::vector<NoiseDemonstration> demonstrations;
  for (const auto& j : list) {
    auto& d = demonstrations.emplace_back();
    d.image = j.at("image");
    d.label = j.at("label");
    d.pixels = j.at("pixels").get<std::vector<std::uint8_t>>();
    d.copies = j.at("copies").get<std::vector<std::vector<std::uint8_t>>>();
    for (const auto& vote : j.at("votes")) {
      auto& v = d.votes.emplace_back();
      v.model = vote.at("model");
      v.predictions = vote.at("predictions").get<std::vector<int>>();
    }
  }
  return demonstrations;
}

json worst_json(const std::vector<WorstImages>& worst) {
  json list = json::array();
  for (const auto& w : worst) {
    json images = json::array();
    for (const auto& image : w.images)
      images.push_back({{"image", image.image}, {"pixels", image.pixels}});
    list.push_back({{"model", w.model}, {"images", std::move(images)}});
  }
  return list;
}

std::vector<WorstImages> read_worst(const json& list) {
  std::vector<WorstImages> worst;
  for (const auto& j : list) {
    auto& w = worst.emplace_back();
    w.model = j.at("model");
    for (const auto& image : j.at("images")) {
      auto& i = w.images.emplace_back();
      i.image = image.at("image");
      i.pixels = image.at("pixels").get<std::vector<std::uint8_t>>();
    }
  }
  return worst;
}

}  // namespace smoothcert::study
