// PyTorch checkpoints: the ZIP container, the pickle in it, the tensors, and the fit to a network.
// An input that is no ZIP file is taken for the pickle itself and gets an archive with the golden
// files' storages around it, so that mutations need not get past a CRC.
#include "checkpoint/torch_file.hpp"
#include "checkpoint_support.hpp"
#include "fuzz.hpp"
#include "smoothcert/checkpoint.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  static const NetworkSpec spec = parse_network_spec(
      R"({"name":"tiny","input":[2,4,4],"classes":3,"layers":[
        {"op":"conv2d","name":"conv1","out_channels":2,"kernel":3,"padding":1},
        {"op":"batchnorm","name":"bn1"},{"op":"relu"},{"op":"maxpool","kernel":2},
        {"op":"flatten"},{"op":"linear","name":"fc1","out_features":3}]})",
      "spec");
  static const std::vector<std::string> storages = [] {
    std::vector<std::string> zeros;
    for (const std::size_t bytes : {144, 8, 8, 8, 8, 8, 8, 96, 12}) zeros.emplace_back(bytes, '\0');
    return zeros;
  }();
  std::vector<std::uint8_t> archive;
  fuzz::Bytes bytes(data, size);
  if (!ZipArchive::looks_like_zip(bytes))
    bytes = archive = test::checkpoint_bytes(fuzz::text_of(bytes), storages);
  fuzz::expect_error_or_success([&] {
    TorchFile file(bytes, "FILE");
    for (const auto& [name, view] : file.tensors()) {
      std::uint64_t elements = 1;
      for (const std::int64_t extent : view.shape)
        elements = elements > 65536 || extent > 65536
                       ? std::uint64_t{1} << 32
                       : elements * static_cast<std::uint64_t>(extent);
      if (elements > 65536) continue;
      fuzz::expect_error_or_success(
          [&, &tensor = name] { fuzz::require(file.read(tensor).data.size() == elements); });
    }
  });
  fuzz::expect_error_or_success([&] { checkpoint_from_bytes(bytes, "FILE", spec); });
  return 0;
}
