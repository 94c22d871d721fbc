// Models that others trained: PyTorch checkpoints and plain safetensors, fitted to a description.
#include "smoothcert/checkpoint.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "checkpoint/fit.hpp"
#include "checkpoint/known_models.hpp"
#include "checkpoint/onnx_network.hpp"
#include "checkpoint/torch_file.hpp"
#include "network/model_file_kind.hpp"
#include "network/safetensors.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"
#include "util/atomic_file.hpp"
#include "util/nearest_name.hpp"
#include "util/printable.hpp"

namespace smoothcert {

NetworkSpec network_by_name(const std::string& name_or_file) {
  const auto names = builtin_network_names();
  if (std::find(names.begin(), names.end(), name_or_file) != names.end())
    return builtin_network(name_or_file);
  const std::filesystem::path file = name_or_file;
  std::error_code ignored;
  if (file.extension() != ".json" && !std::filesystem::is_regular_file(file, ignored))
    throw UsageError(unknown_name_message("network", name_or_file, names) +
                     "; a description file of that name does not exist either");
  const auto bytes = read_file(file, std::size_t{16} << 20);
  return parse_network_spec({bytes.begin(), bytes.end()}, name_or_file);
}

NetworkSpec with_normalization(NetworkSpec spec, std::vector<float> mean,
                               std::vector<float> stddev) {
  if (!spec.layers.empty() && spec.layers.front().kind == LayerKind::normalize)
    throw UsageError("network '" + spec.name + "' has a normalize layer already");
  for (Layer& layer : spec.layers)
    for (int& input : layer.inputs) ++input;  // −1, the image, becomes the normalised image
  if (!std::all_of(mean.begin(), mean.end(), [](float m) { return std::isfinite(m); }))
    throw UsageError("network '" + spec.name + "': normalisation needs finite means");
  Layer normalize;
  normalize.kind = LayerKind::normalize;
  normalize.inputs = {-1};
  normalize.mean = std::move(mean);
  normalize.stddev = std::move(stddev);
  spec.layers.insert(spec.layers.begin(), std::move(normalize));
  infer_shapes(spec);
  return spec;
}

Network checkpoint_from_bytes(std::span<const std::uint8_t> bytes, const std::string& where,
                              NetworkSpec spec, std::vector<std::string>* notes,
                              const std::string& dataset) {
  std::vector<std::string> unread;
  std::vector<std::string>& lines = notes != nullptr ? *notes : unread;
  const ModelFileKind kind = model_file_kind(bytes);
  refuse_legacy_checkpoint(kind, where);
  if (kind == ModelFileKind::onnx)
    throw UsageError(where +
                     ": an ONNX model says itself which network it is; leave --network out");
  TensorSource source;
  auto usual = normalization_of_dataset(dataset);
  std::string chosen_by = "the data set";
  if (kind == ModelFileKind::torch_zip || kind == ModelFileKind::torch_legacy) {
    TorchFile file(bytes, where);
    for (const auto& [name, tensor] : file.tensors()) source.shapes.emplace(name, tensor.shape);
    source.read = [&](const std::string& name) { return file.read(name); };
    if (!usual) {
      usual = normalization_of_arch(file.arch());
      chosen_by = "its arch '" + printable(file.arch()) + "'";
    }
    return fit_network(std::move(spec), source, where, lines, usual, chosen_by);
  }
  const SafetensorsFile file = parse_safetensors(bytes, where);
  for (const auto& [name, tensor] : file.tensors) source.shapes.emplace(name, tensor.shape);
  source.read = [&](const std::string& name) { return file.tensors.at(name); };
  Network net = fit_network(std::move(spec), source, where, lines, usual, chosen_by);
  read_network_metadata(file, net, where);
  return net;
}

Network load_checkpoint(const std::filesystem::path& file, NetworkSpec spec,
                        std::vector<std::string>* notes, const std::string& dataset) {
  return checkpoint_from_bytes(read_file(file), file.string(), std::move(spec), notes, dataset);
}

std::optional<NetworkSpec> network_of_checkpoint(const std::filesystem::path& file,
                                                 std::vector<std::string>* notes) {
  const auto bytes = read_file(file);
  const ModelFileKind kind = model_file_kind(bytes);
  if (kind != ModelFileKind::torch_zip && kind != ModelFileKind::torch_legacy) return std::nullopt;
  const std::string arch = TorchFile(bytes, file.string()).arch();
  auto spec = network_of_arch(arch);
  if (!spec && !arch.empty())
    throw UsageError(file.string() + ": its arch is " +
                     unknown_name_message("network", printable(arch), known_archs()) +
                     "; --network says which network it is");
  if (spec && notes != nullptr)
    notes->push_back(file.string() + ": its arch '" + arch + "' is network '" + spec->name +
                     "' with " + std::to_string(spec->classes) + " classes");
  return spec;
}

std::optional<Network> load_onnx(const std::filesystem::path& file,
                                 std::vector<std::string>* notes) {
  const auto bytes = read_file(file);
  if (model_file_kind(bytes) != ModelFileKind::onnx) return std::nullopt;
  std::vector<std::string> unread;
  return onnx_network(bytes, file.string(), file.parent_path().empty() ? "." : file.parent_path(),
                      notes != nullptr ? *notes : unread);
}

Network load_model(const std::filesystem::path& file, const std::string& network,
                   std::vector<std::string>* notes, const std::string& dataset) {
  if (!network.empty()) return load_checkpoint(file, network_by_name(network), notes, dataset);
  if (auto spec = network_of_checkpoint(file, notes))
    return load_checkpoint(file, *std::move(spec), notes, dataset);
  if (auto net = load_onnx(file, notes)) return *std::move(net);
  return load_network(file);
}

}  // namespace smoothcert
