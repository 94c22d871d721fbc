// Networks of ours, callables of theirs, and images.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <functional>

#include "arrays.hpp"
#include "bindings.hpp"
#include "models.hpp"
#include "smoothcert/checkpoint.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"
#include "smoothcert/network_spec.hpp"

namespace smoothcert::python {

Model::Use::Use(Model& model) : model_(model) {
  if (model_.in_use_)
    throw UsageError("this model is in use by another call; load it once for each of them");
  model_.in_use_ = true;  // under the GIL
}
Model::Use::~Use() { model_.in_use_ = false; }

void Model::Use::wait_for(const nb::object& on_progress, const Work& work) {
  CallerThread caller;
  model_.caller_ = &caller;
  try {
    python::wait_for(caller, on_progress, work);
  } catch (...) {
    model_.caller_ = nullptr;
    throw;
  }
  model_.caller_ = nullptr;
}

namespace {

class NativeModel final : public Model {
 public:
  NativeModel(Network net, const std::string& device, int threads) : net_(std::move(net)) {
    const nb::gil_scoped_release release;
    backend_ = make_backend(device, threads, &note_);
    model_ = backend_->load(net_);
  }
  BackendModel& backend() override { return *model_; }
  const Network& network() const override { return net_; }
  const std::string& note() const { return note_; }

 private:
  Network net_;
  std::string note_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<BackendModel> model_;
};

/// A Python callable as a forward pass: takes a float32 tile, gives a contiguous float32 array
/// tile × classes, or int64 labels. The GIL is held inside the call only,
/// which is made on the thread that waits for the run.
class CallableModel final : public Model {
 public:
  CallableModel(const std::string& name, std::vector<int> shape, int classes, int tile,
                const std::string& hash, const std::string& precision, const std::string& record,
                bool labels, bool allow_batch_dependence, int threads, nb::object callable,
                nb::object gradient)
      : callable_(std::move(callable)),
        gradient_(std::move(gradient)),
        rows_(static_cast<std::size_t>(tile)) {
    if (shape.size() != 3) throw UsageError("a model's shape is channels, height, width");
    net_.spec.name = name;
    net_.spec.input = {shape[0], shape[1], shape[2]};
    net_.spec.classes = classes;
    ExternalModelSettings settings;
    settings.name = name;
    settings.input = net_.spec.input;
    settings.classes = classes;
    settings.tile = tile;
    settings.identity = {hash, precision, record};
    settings.allow_batch_dependence = allow_batch_dependence;
    settings.threads = threads;
    settings.run_on = [this](const std::function<void()>& task) {
      if (caller() != nullptr)
        caller()->run(task);
      else
        task();
    };
    if (!gradient_.is_none())
      settings.gradient = [this](std::span<const float> images, std::span<const Label> classes_of,
                                 LossKind loss, std::span<float> gradient, std::span<float> logits) {
        differentiate(images, classes_of, loss, gradient, logits);
      };
    if (labels)
      model_ = std::make_unique<ExternalModel>(
          settings, LabelsCallback([this](std::span<float> images, std::span<std::int64_t> out) {
            answer<std::int64_t, 1>(images, out);
          }));
    else
      model_ = std::make_unique<ExternalModel>(
          settings, LogitsCallback([this](std::span<float> images, std::span<float> out) {
            answer<float, 2>(images, out);
          }));
  }
  BackendModel& backend() override { return *model_; }
  const Network& network() const override { return net_; }
  std::size_t tile() const { return rows_; }

  /// What Python's garbage collector may look through: a module's class may lead back here.
  static int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (!nb::inst_ready(self)) return 0;
    const auto* model = nb::inst_ptr<CallableModel>(self);
    Py_VISIT(model->callable_.ptr());
    Py_VISIT(model->gradient_.ptr());
    return 0;
  }
  static int clear(PyObject* self) {
    auto* model = nb::inst_ptr<CallableModel>(self);
    model->callable_.reset();
    model->gradient_.reset();
    return 0;
  }

 private:
  template <class T, int Dimensions>
  void answer(std::span<float> images, std::span<T> out) {
    const nb::gil_scoped_acquire acquire;
    const ImageShape& s = net_.spec.input;
    // Whoever keeps the array keeps the tile; were it this object, that would be a cycle.
    using Buffer = std::shared_ptr<std::vector<float>>;
    const nb::capsule owner(new Buffer(model_->tile_buffer()),
                            [](void* p) noexcept { delete static_cast<Buffer*>(p); });
    const std::size_t shape[4] = {rows_, static_cast<std::size_t>(s.channels),
                                  static_cast<std::size_t>(s.height),
                                  static_cast<std::size_t>(s.width)};
    const nb::ndarray<nb::numpy, float> tile(images.data(), 4, shape, owner);
    const nb::object answers = callable_(nb::cast(tile, nb::rv_policy::reference));
    const auto array =
        nb::cast<nb::ndarray<const T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>>(
            answers);
    if (array.size() != out.size()) throw Error("the callable's answers changed their shape");
    std::copy_n(array.data(), out.size(), out.begin());
  }

  /// `gradient_(images, labels, loss)` gives (gradient, logits), float32 and contiguous.
  void differentiate(std::span<const float> images, std::span<const Label> labels, LossKind loss,
                     std::span<float> gradient, std::span<float> logits) {
    const nb::gil_scoped_acquire acquire;
    const ImageShape& s = net_.spec.input;
    const auto extent = [](int value) { return static_cast<std::size_t>(value); };
    const nb::object batch =
        to_numpy(std::vector<float>(images.begin(), images.end()),
                 {labels.size(), extent(s.channels), extent(s.height), extent(s.width)});
    const nb::object classes = to_numpy(std::vector<std::int64_t>(labels.begin(), labels.end()));
    const auto answers =
        nb::cast<nb::tuple>(gradient_(batch, classes, nb::str(to_name(loss).c_str())));
    const auto copy = [](const nb::handle& answer, std::span<float> out) {
      const auto array =
          nb::cast<nb::ndarray<const float, nb::c_contig, nb::device::cpu>>(answer);
      if (array.size() != out.size()) throw Error("the gradient is not of the images' shape");
      std::copy_n(array.data(), out.size(), out.begin());
    };
    copy(answers[0], gradient);
    copy(answers[1], logits);
  }

  nb::object callable_, gradient_;
  std::size_t rows_;
  Network net_;
  std::unique_ptr<ExternalModel> model_;
};

Images make_images(
    const PixelArray& pixels,
    nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> labels, int classes,
    const std::string& name, bool rounded, const std::string& split) {
  Images images;
  Dataset& d = images.data;
  d.name = name;
  d.split = split;
  d.origin = "python";
  d.shape = {static_cast<int>(pixels.shape(1)), static_cast<int>(pixels.shape(2)),
             static_cast<int>(pixels.shape(3))};
  d.classes = classes;
  if (labels.size() != pixels.shape(0))
    throw UsageError(std::to_string(pixels.shape(0)) + " images, but " +
                     std::to_string(labels.size()) + " labels");
  d.pixels.assign(pixels.data(), pixels.data() + pixels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int64_t label = labels.data()[i];
    if (label < 0 || label >= classes)
      throw UsageError("label " + std::to_string(label) + " of image " + std::to_string(i) +
                       " is none of the " + std::to_string(classes) + " classes");
    d.labels.push_back(static_cast<Label>(label));
  }
  d.rounded_to_lattice = rounded;
  d.sha256 = dataset_hash(d);
  return images;
}

/// A network from its description (docs/network-format.md) and its tensors. Nobody knows what became
/// of noisy pixels in training where `clamp` is none.
Network make_network(const std::string& description, const nb::dict& tensors,
                     std::optional<bool> clamp) {
  Network net;
  net.spec = parse_network_spec(description, "the description");
  net.clamp = clamp.value_or(false);
  net.clamp_recorded = clamp.has_value();
  for (const auto& [name, value] : tensors) {
    const auto array =
        nb::cast<nb::ndarray<const float, nb::c_contig, nb::device::cpu>>(value);
    Tensor tensor;
    for (std::size_t i = 0; i < array.ndim(); ++i)
      tensor.shape.push_back(static_cast<std::int64_t>(array.shape(i)));
    tensor.data.assign(array.data(), array.data() + array.size());
    net.tensors.emplace(nb::cast<std::string>(name), std::move(tensor));
  }
  validate(net, "the network");
  return net;
}

/// One of ours, or a checkpoint of others; and a line for each thing that was decided.
nb::tuple load(const std::string& file, const std::string& network, const std::string& dataset) {
  std::vector<std::string> notes;
  Network net;
  {
    const nb::gil_scoped_release release;
    net = load_model(file, network, &notes, dataset);
  }
  return nb::make_tuple(std::move(net), std::move(notes));
}

nb::object forward(Model& model, const FloatArray& images) {
  const Model::Use use(model);
  BackendModel& backend = model.backend();
  const ImageShape& s = backend.spec().input;
  if (images.shape(1) != static_cast<std::size_t>(s.channels) ||
      images.shape(2) != static_cast<std::size_t>(s.height) ||
      images.shape(3) != static_cast<std::size_t>(s.width))
    throw UsageError("forward: the images are not of the network's shape");
  const auto classes = static_cast<std::size_t>(backend.spec().classes);
  std::vector<float> logits(images.shape(0) * classes);
  {
    const nb::gil_scoped_release release;
    backend.forward(span_of(images), logits);
  }
  return to_numpy(std::move(logits), {images.shape(0), classes});
}

}  // namespace

void bind_models(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Images>(m, "Images")
      .def("__len__", [](const Images& i) { return i.data.size(); })
      .def_prop_ro("sha256", [](const Images& i) { return i.data.sha256; });
  m.def("make_images", &make_images, "pixels"_a, "labels"_a, "classes"_a, "name"_a, "rounded"_a,
        "split"_a = "test");

  nb::class_<Network>(m, "Network")
      .def_static("load", &load, "file"_a, "network"_a = "", "dataset"_a = "")
      .def_static("make", &make_network, "description"_a, "tensors"_a, "clamp"_a.none())
      .def_static(
          "initialise",
          [](const std::string& name, std::uint64_t seed) {
            return initialise(builtin_network(name), seed);
          },
          "name"_a, "seed"_a = 0)
      .def(
          "save", [](const Network& n, const std::string& file) { save_network(n, file); },
          "file"_a, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("hash", [](const Network& n) { return model_hash(n); })
      .def_prop_ro("name", [](const Network& n) { return n.spec.name; })
      .def_prop_ro("classes", [](const Network& n) { return n.spec.classes; })
      .def_prop_ro("shape",
                   [](const Network& n) {
                     const ImageShape& s = n.spec.input;
                     return nb::make_tuple(s.channels, s.height, s.width);
                   })
      .def_prop_ro("clamp", [](const Network& n) { return n.clamp; })
      .def_prop_ro("regime", [](const Network& n) { return n.record.regime; })
      .def_prop_ro("sigma", [](const Network& n) { return n.record.sigma; })
      .def_prop_ro("description", [](const Network& n) { return network_spec_json(n.spec); })
      .def("tensors", [](const Network& n) {
        nb::dict tensors;
        for (const auto& [name, tensor] : n.tensors) {
          std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
          auto* kept = new std::vector<float>(tensor.data);
          nb::capsule owner(kept,
                            [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
          tensors[name.c_str()] =
              nb::ndarray<nb::numpy, float>(kept->data(), shape.size(), shape.data(), owner);
        }
        return tensors;
      });

  nb::class_<Model>(m, "Model");
  nb::class_<NativeModel, Model>(m, "NativeModel")
      .def(nb::init<Network, const std::string&, int>(), "network"_a, "device"_a = "auto",
           "threads"_a = 0)
      .def_prop_ro("note", &NativeModel::note);
  static PyType_Slot collected[] = {
      {Py_tp_traverse, reinterpret_cast<void*>(&CallableModel::traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(&CallableModel::clear)},
      {0, nullptr}};
  nb::class_<CallableModel, Model>(m, "CallableModel", nb::type_slots(collected))
      .def(nb::init<const std::string&, std::vector<int>, int, int, const std::string&,
                    const std::string&, const std::string&, bool, bool, int, nb::object,
                    nb::object>(),
           "name"_a, "shape"_a, "classes"_a, "tile"_a, "hash"_a, "precision"_a, "record"_a,
           "labels"_a, "allow_batch_dependence"_a, "threads"_a, "callable"_a,
           "gradient"_a.none() = nb::none())
      .def_prop_ro("tile", &CallableModel::tile);
  m.def("forward", &forward, "model"_a, "images"_a);
}

}  // namespace smoothcert::python
