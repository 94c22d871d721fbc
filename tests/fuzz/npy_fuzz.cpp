// NumPy arrays, alone and in a ZIP file, and the data sets made of them.
#include "data/numpy_set.hpp"
#include "fuzz.hpp"
#include "util/zip_archive.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  const fuzz::Bytes bytes(data, size);
  fuzz::expect_error_or_success([&] {
    if (ZipArchive::looks_like_zip(bytes)) {
      const auto arrays = parse_npz(bytes, {"x", "y"}, "FILE");
      if (arrays.size() == 2)
        dataset_from_arrays(arrays.at("x"), "X", arrays.at("y"), "Y", 10, true);
      return;
    }
    const NpyArray array = parse_npy(bytes, "FILE");
    NpyArray labels{'u', 1, {array.shape.empty() ? 0 : array.shape[0]}, {}};
    labels.data.resize(labels.shape[0] % 4096);
    const Dataset set = dataset_from_arrays(array, "X", labels, "Y", 10, true);
    fuzz::require(set.pixels.size() == set.size() * set.shape.size());
  });
  // The same bytes as labels of one image.
  fuzz::expect_error_or_success([&] {
    const NpyArray image{'u', 1, {1, 1, 1}, {7}};
    dataset_from_arrays(image, "X", parse_npy(bytes, "FILE"), "Y", 10, false);
  });
  return 0;
}
