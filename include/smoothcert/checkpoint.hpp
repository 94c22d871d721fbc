// Models that others trained: PyTorch checkpoints and plain safetensors, fitted to a description,
// and ONNX models.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/network.hpp"

namespace smoothcert {

/// A built-in name ("lenet"), or the path of a JSON description (docs/network-format.md). Throws
/// UsageError, suggesting the nearest name.
NetworkSpec network_by_name(const std::string& name_or_file);

/// The same network with `(x − mean) / stddev`, per channel, in front. Throws UsageError where it
/// has such a layer already or the counts differ from its input channels.
NetworkSpec with_normalization(NetworkSpec spec, std::vector<float> mean,
                               std::vector<float> stddev);

/// Fits the tensors of `file` to `spec`: a .pt, .pth or .pth.tar of torch.save() since PyTorch 1.6,
/// or safetensors, told apart by content. Nothing in a checkpoint is executed. The state dict may
/// be bare or under state_dict, model_state_dict, model or net; its names may share a prefix
/// (module., 1., 1.module. …). A leading "1." means that a normalisation comes first: its mean and
/// deviation are taken from the checkpoint's buffers where it has them, and otherwise `spec` must
/// have a normalize layer. float64, float16 and bfloat16 become float32. `notes`, where given, gets
/// a line for each thing that was decided for the caller.
/// Throws Error, one line: names missing and unexpected with the nearest ones; a shape expected and
/// found; a file that is damaged, of an old format, or that asks for more than data.
///
/// Where the names say that a normalisation came first, and neither buffers nor `spec` say which,
/// `dataset` ("cifar10") chooses the field's usual one, and where that is not known, the
/// checkpoint's `arch` entry does ("cifar_resnet110"); a note says which.
Network load_checkpoint(const std::filesystem::path& file, NetworkSpec spec,
                        std::vector<std::string>* notes = nullptr, const std::string& dataset = "");
/// The same from bytes already read; `where` names them in errors.
Network checkpoint_from_bytes(std::span<const std::uint8_t> bytes, const std::string& where,
                              NetworkSpec spec, std::vector<std::string>* notes = nullptr,
                              const std::string& dataset = "");

/// The built-in network that the `arch` entry of a PyTorch checkpoint names, with a note; nothing
/// for other files and other entries.
std::optional<NetworkSpec> network_of_checkpoint(const std::filesystem::path& file,
                                                 std::vector<std::string>* notes = nullptr);

/// The network of an ONNX model, opset 11 and newer; nothing for other files. Its constants are
/// folded; what has no layer here is refused (docs/network-format.md), one line that names the node
/// and its operator, and so is every ONNX model where the program was built without libonnx-dev.
/// Weights may lie in a file beside it. A note says what was found.
std::optional<Network> load_onnx(const std::filesystem::path& file,
                                 std::vector<std::string>* notes = nullptr);

/// load_checkpoint() with network_by_name(network). Where `network` is "": with
/// network_of_checkpoint(), else load_onnx(), else load_network().
Network load_model(const std::filesystem::path& file, const std::string& network,
                   std::vector<std::string>* notes = nullptr, const std::string& dataset = "");

}  // namespace smoothcert
