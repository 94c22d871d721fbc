// The data sets that can be downloaded: their files, mirrors and hashes.
#include "data/remote_sets.hpp"

#include <span>

#include "util/atomic_file.hpp"
#include "util/sha256.hpp"

namespace smoothcert {
namespace {

constexpr std::uint64_t kTrainImages = 16 + 60000 * 784, kTrainLabels = 8 + 60000;
constexpr std::uint64_t kTestImages = 16 + 10000 * 784, kTestLabels = 8 + 10000;

// Hashes of the original files, computed from copies whose published MD5 sums agreed.
const RemoteDataSet kMnist{
    "mnist",
    {"https://ossci-datasets.s3.amazonaws.com/mnist/",
     "https://storage.googleapis.com/cvdf-datasets/mnist/"},
    {{"train-images-idx3-ubyte", true, kTrainImages,
      "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", ""},
     {"train-labels-idx1-ubyte", true, kTrainLabels,
      "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", ""},
     {"t10k-images-idx3-ubyte", false, kTestImages,
      "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", ""},
     {"t10k-labels-idx1-ubyte", false, kTestLabels,
      "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", ""}}};

// The published sums of Fashion-MNIST are those of its .gz files, which its mirrors serve as they
// are; they fix the content just as well.
const RemoteDataSet kFashionMnist{
    "fashion-mnist",
    {"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
     "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
    {{"train-images-idx3-ubyte", true, kTrainImages, "",
      "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
     {"train-labels-idx1-ubyte", true, kTrainLabels, "",
      "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
     {"t10k-images-idx3-ubyte", false, kTestImages, "",
      "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
     {"t10k-labels-idx1-ubyte", false, kTestLabels, "",
      "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"}}};

}  // namespace

std::string known_images(const Dataset& data, const std::filesystem::path& packed) {
  constexpr std::uint32_t kMagic = 0x803;  // of an IDX file of bytes with three dimensions
  const auto count = static_cast<std::uint32_t>(data.size());
  if (data.shape != ImageShape{1, 28, 28} || (count != 60000 && count != 10000)) return "";
  std::vector<std::uint8_t> header;
  for (const std::uint32_t word : {kMagic, count, 28u, 28u})
    for (int shift = 24; shift >= 0; shift -= 8)
      header.push_back(static_cast<std::uint8_t>(word >> shift));
  Sha256 hash;
  hash.update(std::span<const std::uint8_t>(header));
  hash.update(std::span<const std::uint8_t>(data.pixels));
  const std::string sum = hash.hex();
  const std::string packed_sum =
      packed.empty() ? "-" : sha256_hex(std::span<const std::uint8_t>(read_file(packed)));
  for (const auto* set : {&kMnist, &kFashionMnist})
    for (const auto& file : set->files)
      if (file.sha256 == sum || file.packed_sha256 == packed_sum) return set->name;
  return "";
}

const RemoteDataSet* find_remote_data_set(const std::string& name) {
  for (const auto* set : {&kMnist, &kFashionMnist})
    if (set->name == name) return set;
  return nullptr;
}

}  // namespace smoothcert
