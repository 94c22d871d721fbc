// Results stores: runs and certificates without SQL, merging, the field's TSV.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <filesystem>

#include "arrays.hpp"
#include "bindings.hpp"
#include "settings.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/merge.hpp"
#include "smoothcert/results.hpp"

namespace smoothcert::python {
namespace {

class Store {
 public:
  Store(const std::string& file, bool read_only)
      : store_(ResultsStore::open(file, read_only ? ResultsStore::Access::read_only
                                                  : ResultsStore::Access::read_write)) {}

  nb::list runs() const {
    nb::list list;
    for (const RunInfo& run : open().runs()) {
      const RunSettings& s = run.settings;
      nb::dict d = settings_dict(s.certify);
      const auto text = [&](const char* name, const std::string& value) {
        d[name] = nb::str(value.c_str());
      };
      d["run"] = run.id;
      text("key", run.key);
      text("started", run.started);
      text("model", s.model_name);
      text("model_hash", s.model_hash);
      text("regime", s.regime);
      d["training_sigma"] = s.training_sigma;
      text("dataset", s.dataset_name);
      text("dataset_hash", s.dataset_hash);
      d["classes"] = s.classes;
      d["shape"] = nb::make_tuple(s.shape.channels, s.shape.height, s.shape.width);
      text("precision", s.precision);
      text("backend", s.backend);
      text("arithmetic", s.arithmetic);
      text("pixels", s.pixels);
      text("external", s.external);
      text("guarantee", guarantee_text(s));
      list.append(d);
    }
    return list;
  }

  nb::dict certificates(std::int64_t id) const {
    for (const RunInfo& run : open().runs())
      if (run.id == id) {
        nb::dict table = certificates_table(open().certificates(id), run.settings.classes);
        return table;
      }
    throw UsageError("this store has no run " + std::to_string(id));
  }

  std::string dump() const { return open().canonical_dump(); }
  void close() { store_.reset(); }

 private:
  ResultsStore& open() const {
    if (!store_) throw UsageError("this store is closed");
    return *store_;
  }
  std::unique_ptr<ResultsStore> store_;
};

nb::dict merge(const std::string& out, const std::vector<std::string>& inputs, bool allow_gaps,
               bool allow_overlaps) {
  std::vector<std::filesystem::path> files(inputs.begin(), inputs.end());
  MergeReport report;
  {
    const nb::gil_scoped_release release;
    report = merge_stores(out, files, {allow_gaps, allow_overlaps});
  }
  nb::dict d;
  d["runs"] = report.runs;
  d["certificates"] = report.certificates;
  d["duplicates"] = report.duplicates;
  d["missing_images"] = report.missing_images;
  return d;
}

/// Writes the field's file from a table as certificates_table() makes it.
void write_tsv(
    const CountArray& index, const CountArray& label,
    nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> prediction,
    nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu> radius,
    nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu> seconds,
    const std::string& file, bool compat) {
  std::vector<Certificate> certificates(index.size());
  for (std::size_t i = 0; i < certificates.size(); ++i) {
    Certificate& c = certificates[i];
    c.image = static_cast<std::uint32_t>(index.data()[i]);
    c.label = static_cast<Label>(label.data()[i]);
    c.prediction = static_cast<int>(prediction.data()[i]);
    c.radius = radius.data()[i];
    c.seconds = seconds.data()[i];
  }
  export_tsv(certificates, file, compat);
}

}  // namespace

void bind_store(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Store>(m, "Store")
      .def(nb::init<const std::string&, bool>(), "file"_a, "read_only"_a = true)
      .def("runs", &Store::runs)
      .def("certificates", &Store::certificates, "run"_a)
      .def("canonical_dump", &Store::dump)
      .def("close", &Store::close);
  m.def("merge", &merge, "out"_a, "inputs"_a, "allow_gaps"_a = false, "allow_overlaps"_a = false);
  m.def("write_tsv", &write_tsv, "index"_a, "label"_a, "prediction"_a, "radius"_a, "seconds"_a,
        "file"_a, "compat"_a);
}

}  // namespace smoothcert::python
