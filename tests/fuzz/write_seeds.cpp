// write_seeds FOLDER: valid files of every format, as a start for the fuzz targets, in
// FOLDER/<target>/.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "checkpoint_support.hpp"
#include "data_support.hpp"
#include "places_support.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/network_file.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/results.hpp"
#include "store_support.hpp"
#include "util/atomic_file.hpp"
#include "util/zip_archive.hpp"

namespace {

namespace fs = std::filesystem;
using namespace smoothcert;
using test::Bytes;

fs::path folder_of(const fs::path& root, const char* target) {
  fs::create_directories(root / target);
  return root / target;
}

void idx(const fs::path& folder) {
  const Bytes six{1, 2, 3, 4, 5, 255};
  test::write_bytes(folder / "labels", test::idx_bytes({6}, six));
  test::write_bytes(folder / "grey", test::idx_bytes({1, 2, 3}, six));
  test::write_bytes(folder / "colour", test::idx_bytes({1, 3, 1, 2}, six));
  test::write_bytes(folder / "packed", test::gzip(test::idx_bytes({1, 2, 3}, six)));
}

NetworkSpec small_network() {
  return parse_network_spec(
      R"({"name":"small","input":[1,4,4],"classes":2,"layers":[
        {"op":"normalize","mean":[0.1],"std":[0.3]},
        {"op":"conv2d","name":"conv1","out_channels":2,"kernel":3,"padding":1,"bias":false},
        {"op":"batchnorm","name":"bn1"},{"op":"relu","name":"stem"},
        {"op":"conv2d","name":"conv2","out_channels":2,"kernel":3,"padding":1},
        {"op":"add","inputs":["conv2","stem"]},{"op":"maxpool","kernel":2},
        {"op":"global_avg_pool"},{"op":"flatten"},
        {"op":"linear","name":"fc1","out_features":2}]})",
      "seed");
}

void networks(const fs::path& tensors, const fs::path& specs) {
  save_network(initialise(small_network(), 1), tensors / "small");
  test::write_text(specs / "small", network_spec_json(small_network()));
  for (const auto& name : small_network_names())
    test::write_text(specs / name, network_spec_json(builtin_network(name)));
}

void votes(const fs::path& folder) {
  test::write_text(folder / "split", "idx\tk\tsecond\tn\n0\t990\t7\t1000\n1\t500\t400\t1000\n");
  test::write_text(folder / "commas", "k,n\n990,1000\n");
  test::write_text(folder / "counts",
                   "counts\tselected\tinvalid\n[3,0,997]\t2\t0\n[5,5,5]\t0\t85\n");
}

void sweep(const fs::path& folder) {
  test::write_text(folder / "all",
                   R"({"store":"s.sqlite","data":"mnist","split":"test","models":["a.safetensors",
{"file":"b.pt","name":"b","sigma":[0.5,1]}],"sigma":[0.25],"n0":100,"n":[1e4,100000],"alpha":[0.05],
"seed":[0,1],"subset":{"start":1,"skip":20,"max":500},"noise":"lattice","clamp":true,"mode":"exact"})");
}

void results(const fs::path& tsv, const fs::path& store) {
  std::vector<Certificate> certificates;
  for (const std::uint32_t image : {0u, 3u, 7u})
    certificates.push_back(test::sample_certificate(image));
  test::write_text(tsv / "full", certificates_tsv(certificates, false));
  test::write_text(tsv / "compat", certificates_tsv(certificates, true));
  const test::TemporaryFolder scratch;
  {
    const auto open =
        ResultsStore::open(scratch.path("s.sqlite"), ResultsStore::Access::read_write);
    const RunInfo run = open->find_or_create_run(test::sample_settings());
    for (const auto& certificate : certificates) open->add_certificate(run.id, certificate);
    open->add_chunk(run.id, test::sample_chunk(9, 0, 100));
    open->put_document("note", R"({"a":1})");
    open->flush();
  }
  fs::copy_file(scratch.path("s.sqlite"), store / "store", fs::copy_options::overwrite_existing);
}

/// What PyTorch wrote, and the pickles in it on their own.
void onnx_models(const fs::path& folder) {
  const fs::path golden = test::source_folder() / "tests" / "golden" / "onnx";
  for (const auto& file : fs::directory_iterator(golden))
    fs::copy_file(file, folder / file.path().filename(), fs::copy_options::overwrite_existing);
}

void checkpoints(const fs::path& folder) {
  const fs::path golden = test::source_folder() / "tests" / "golden" / "checkpoints";
  for (const auto& file : fs::directory_iterator(golden)) {
    const auto bytes = read_file(file.path());
    test::write_bytes(folder / file.path().filename(), bytes);
    if (!ZipArchive::looks_like_zip(bytes)) continue;
    const ZipArchive archive(bytes, file.path().string());
    for (const ZipEntry& entry : archive.entries())
      if (entry.name.ends_with("data.pkl"))
        test::write_bytes(folder / (file.path().stem().string() + ".pkl"),
                          archive.read(entry, 1 << 20));
  }
}

std::string npy(const std::string& type, const std::string& shape, const std::string& data) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize(117, ' ');
  header += '\n';
  return std::string("\x93NUMPY\1\0\x76\0", 10) + header + data;
}

void numpy(const fs::path& folder) {
  const std::string six = "\1\2\3\4\5\6", floats(24, '\0');
  const std::string grey = npy("|u1", "1, 2, 3", six), real = npy("<f4", "1, 2, 3", floats);
  test::write_text(folder / "grey", grey);
  test::write_text(folder / "colour", npy("|u1", "1, 2, 1, 3", six));
  test::write_text(folder / "last", npy("|u1", "1, 3, 1, 2", six));
  test::write_text(folder / "float", real);
  test::write_text(folder / "labels", npy("<i8", "3,", floats));
  const std::string label = npy("|u1", "1,", "\1");
  test::write_bytes(folder / "both", test::zip_bytes({{"x.npy", grey}, {"y.npy", label}}));
  test::write_bytes(folder / "packed",
                    test::zip_bytes({{"x.npy", real, true}, {"y.npy", label, true}}));
}

void cifar(const fs::path& folder) {
  test::write_text(folder / "ten", std::string(1 + 2 * 3073, '\2'));
  test::write_text(folder / "hundred", std::string(1 + 2 * 3074, '\3'));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return std::fprintf(stderr, "usage: write_seeds FOLDER\n"), 2;
  const fs::path root = arguments[1];
  idx(folder_of(root, "idx"));
  networks(folder_of(root, "safetensors"), folder_of(root, "network_spec"));
  sweep(folder_of(root, "sweep"));
  votes(folder_of(root, "votes"));
  votes(folder_of(root, "votes"));
  results(folder_of(root, "tsv"), folder_of(root, "store"));
  checkpoints(folder_of(root, "checkpoint"));
  onnx_models(folder_of(root, "onnx"));
  numpy(folder_of(root, "npy"));
  cifar(folder_of(root, "cifar"));
  return 0;
}
