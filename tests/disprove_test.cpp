// The search for disproofs at a half-space, whose robust radii are known, and the rows of its
// tests.
#include "smoothcert/disprove.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "smoothcert/backend.hpp"
#include "smoothcert/brackets.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/certify.hpp"
#include "smoothcert/error.hpp"
#include "store/sqlite.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using test::TemporaryFolder;
using testing::HasSubstr;
using Access = ResultsStore::Access;

/// Two classes: 1 where w·x > c, with weights that differ from pixel to pixel.
class HalfSpace : public testing::Test {
 protected:
  HalfSpace() {
    NetworkSpec spec;
    spec.name = "half-space";
    spec.input = {1, 6, 6};
    spec.classes = 2;
    Layer flatten, linear;
    flatten.kind = LayerKind::flatten;
    flatten.name = "flatten";
    flatten.inputs = {-1};
    linear.kind = LayerKind::linear;
    linear.name = "fc";
    linear.inputs = {0};
    linear.out_channels = 2;
    spec.layers = {flatten, linear};
    infer_shapes(spec);
    network_ = initialise(spec, 1);
    const std::size_t pixels = network_.spec.input.size();
    Tensor weight{{2, static_cast<std::int64_t>(pixels)}, std::vector<float>(2 * pixels)};
    double at_grey = 0;
    for (std::size_t p = 0; p < pixels; ++p) {
      const float w = 0.5f + 0.1f * static_cast<float>(p % 7);
      weight.data[pixels + p] = w;
      norm_ += double{w} * w;
      at_grey += w * 128.0 / 255;
    }
    norm_ = std::sqrt(norm_);
    network_.tensors["fc.weight"] = weight;
    network_.tensors["fc.bias"] = {{2}, {0.0f, static_cast<float>(-at_grey)}};
    data_.name = "grey";
    data_.split = "test";
    data_.shape = network_.spec.input;
    data_.classes = 2;
    data_.sha256 = std::string(64, 'a');
    for (int i = 0; i < 8; ++i) {
      data_.pixels.insert(data_.pixels.end(), pixels, static_cast<std::uint8_t>(118 - 4 * i));
      data_.labels.push_back(0);
    }
    settings_.sigma = 0.5;
    settings_.n0 = 100;
    settings_.n = 20000;
    settings_.alpha = 0.001;
    settings_.clamp = false;
    model_ = backend_->load(network_);
  }

  /// The distance of image i from the plane: its robust radius under continuous noise.
  [[nodiscard]] double distance(std::uint32_t i) const {
    double below = 0;
    const std::size_t pixels = data_.shape.size();
    for (std::size_t p = 0; p < pixels; ++p)
      below += network_.tensors.at("fc.weight").data[pixels + p] *
               (128.0 - data_.pixels[i * pixels + p]) / 255;
    return below / norm_;
  }
  std::vector<Certificate> certified(std::span<const std::uint32_t> images) {
    std::vector<Certificate> all;
    CertifyCallbacks callbacks;
    callbacks.on_certificate = [&](const Certificate& c) { all.push_back(c); };
    certify(*model_, data_, images, settings_, {}, callbacks, {});
    return all;
  }

  Network network_;
  Dataset data_;
  CertifySettings settings_;
  double norm_ = 0;
  std::unique_ptr<Backend> backend_ = make_cpu_backend(1);
  std::unique_ptr<BackendModel> model_;
};

TEST_F(HalfSpace, TheTrueRadiusLiesBetween) {
  const std::vector<std::uint32_t> images = {0, 1, 2, 3, 4, 5, 6, 7};
  int confirmed = 0;
  for (const Certificate& c : certified(images)) {
    if (!(c.radius > 0)) continue;
    EXPECT_LE(c.radius, distance(c.image)) << c.image;
    const auto found = find_disproof(*model_, data_, c, settings_, {});
    ASSERT_TRUE(found.has_value()) << c.image;
    EXPECT_EQ(found->squares, image_distance(data_.image(c.image), found->pixels).squares);
    EXPECT_EQ(found->rival, 1);
    EXPECT_EQ(found->samples, 10000u);
    if (!found->confirmed()) continue;
    ++confirmed;
    // Beyond the plane (to the rounding of pixels), and hardly further than a search can tell.
    EXPECT_GE(found->radius(), distance(c.image) * 0.98) << c.image;
    EXPECT_LE(found->radius(), distance(c.image) * 1.25 + 0.06) << c.image;
    EXPECT_GT(found->radius(), c.radius) << c.image;
    // The same search gives the same point and votes.
    const auto again = find_disproof(*model_, data_, c, settings_, {});
    EXPECT_EQ(again->pixels, found->pixels);
    EXPECT_EQ(again->votes_rival, found->votes_rival);
  }
  EXPECT_GE(confirmed, 5);
}

// One class everywhere: there is nothing to find, and nothing is said.
TEST_F(HalfSpace, AConstantClassifierHasNoDisproof) {
  network_.tensors["fc.bias"].data[1] = -1e4f;
  model_ = backend_->load(network_);
  const std::vector<std::uint32_t> images = {0};
  const auto certificates = certified(images);
  ASSERT_GT(certificates.at(0).radius, 1);
  EXPECT_FALSE(find_disproof(*model_, data_, certificates[0], settings_, {}).has_value());
}

TEST_F(HalfSpace, RefusesWhatMakesNoSense) {
  const std::vector<std::uint32_t> images = {0};
  Certificate c = certified(images).at(0);
  c.prediction = -1;
  c.radius = 0;
  EXPECT_THAT(error_of([&] { (void)find_disproof(*model_, data_, c, settings_, {}); }),
              HasSubstr("not certified"));
  DisproofSettings bad;
  bad.alpha = 0;
  EXPECT_THAT(error_of([&] { validate(bad); }), HasSubstr("alpha"));
  bad = {};
  bad.samples = 5;
  EXPECT_THAT(error_of([&] { validate(bad); }), HasSubstr("5 samples"));
  bad = {};
  bad.noises = 0;
  EXPECT_THAT(error_of([&] { validate(bad); }), HasSubstr("0 noises"));
  bad = {};
  bad.alpha = 1e-300;
  bad.samples = 900;
  EXPECT_THAT(error_of([&] { validate(bad); }), HasSubstr("cannot reach alpha"));
}

TEST(Contradictions, AreABinomialTail) {
  EXPECT_EQ(contradictions(100, 0, 0.001, 0.001).p_value, 1);
  EXPECT_NEAR(contradictions(100, 1, 0.001, 0.001).p_value, 1 - std::pow(0.998, 100), 1e-12);
  EXPECT_LT(contradictions(100, 5, 0.001, 0.001).p_value, 1e-4);
}

TEST(Brackets, AreOfTestedImagesWithACertificate) {
  std::vector<Certificate> certificates(3);
  std::vector<Disproof> tests(4);
  for (std::uint32_t i = 0; i < 3; ++i) {
    certificates[i].image = i;
    certificates[i].radius = 0.1 * (i + 1);
  }
  for (std::uint32_t i = 0; i < 4; ++i) {  // image 3 has no certificate
    tests[i].image = i;
    tests[i].squares = 51 * 51;  // a distance of 0.2
    tests[i].votes_rival = i == 1 ? 10 : 1000;
    tests[i].votes_selected = i == 1 ? 1000 : 10;
    tests[i].alpha = 0.001;
  }
  const auto all = brackets(certificates, tests);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_FALSE(all[1].confirmed);
  const BracketSummary s = summarise(all);
  EXPECT_EQ(s.tested, 3u);
  EXPECT_EQ(s.confirmed, 2u);
  EXPECT_EQ(s.below, 1u) << "image 2: 0.2 of 0.3";
  EXPECT_EQ(s.radius, certificates[0].radius);
  EXPECT_NEAR(s.distance, 0.2, 1e-12);
  EXPECT_NEAR(s.ratio, 0.2 / 0.3, 1e-9);
  EXPECT_EQ(summarise(std::vector<Bracket>{}).ratio, -1);
}

class DisproofRows : public testing::Test {
 protected:
  DisproofRows() {
    run_ = store_->find_or_create_run(settings_).id;
    store_->add_certificate(run_, test::sample_certificate(1));
    store_->flush();
    row_.image = 1;
    row_.pixels.assign(settings_.shape.size(), 7);
    row_.squares = 400;
    row_.rival = 2;
    row_.votes_selected = 100;
    row_.votes_rival = 900;
    row_.samples = 1000;
    row_.alpha = 0.001;
    row_.seconds = 0.5;
  }
  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path("s.db");
  RunSettings settings_ = test::sample_settings();
  std::unique_ptr<ResultsStore> store_ = ResultsStore::open(file_, Access::read_write);
  std::int64_t run_ = 0;
  Disproof row_;
};

TEST_F(DisproofRows, ComeBackAsTheyWere) {
  store_->add_disproof(run_, row_);
  store_->add_disproof(run_, row_);  // the same again is no second test
  const auto read = store_->disproofs(run_);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].pixels, row_.pixels);
  EXPECT_EQ(read[0].squares, 400u);
  EXPECT_TRUE(read[0].confirmed());
  EXPECT_NEAR(read[0].radius(), 20.0 / 255, 1e-12);
  EXPECT_THAT(store_->canonical_dump(), HasSubstr("disproof image=1 distance2=400 rival=2"));
  Disproof other = row_;
  other.votes_rival = 899;
  EXPECT_THAT(error_of([&] { store_->add_disproof(run_, other); }), HasSubstr("tested once"));
}

TEST_F(DisproofRows, AreRefusedWhereTheyContradictThemselves) {
  const auto refused = [&](auto change, const char* what) {
    Disproof bad = row_;
    change(bad);
    EXPECT_THAT(error_of([&] { store_->add_disproof(run_, bad); }), HasSubstr(what));
  };
  refused([](Disproof& d) { d.pixels.pop_back(); }, "values");
  refused([](Disproof& d) { d.rival = 3; }, "rival 3");
  refused([](Disproof& d) { d.votes_rival = 950; }, "more votes");
  refused([](Disproof& d) { d.alpha = 1; }, "alpha");
  refused([](Disproof& d) { d.squares = UINT32_MAX; }, "apart");
  EXPECT_TRUE(store_->disproofs(run_).empty());
}

TEST_F(DisproofRows, ThatWereChangedAreNamedAndTakenOut) {
  store_->add_disproof(run_, row_);
  store_.reset();
  for (const char* change :
       {"radius = 0.001", "distance2 = 100", "votes_rival = 600", "alpha = 0.1",
        "pixels = zeroblob(length(pixels))", "pixels = 'abc'"}) {
    const auto copy = folder_.path("copy.db");
    std::filesystem::copy_file(file_, copy, std::filesystem::copy_options::overwrite_existing);
    store::Database(copy, store::Database::Access::read_write)
        .execute(std::string("UPDATE disproofs SET ") + change);
    std::vector<std::string> faults;
    const auto store = ResultsStore::open(copy, Access::read_write,
                                          [&](const std::string& line) { faults.push_back(line); });
    EXPECT_TRUE(store->disproofs(run_).empty()) << change;
    EXPECT_THAT(faults, testing::Contains(HasSubstr("disproof of image 1"))) << change;
    EXPECT_EQ(store->remove_faulty_rows(), 1u) << change;
    EXPECT_EQ(store->certificates(run_).size(), 1u);
  }
}

}  // namespace
}  // namespace smoothcert
