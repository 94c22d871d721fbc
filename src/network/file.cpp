// A network as one safetensors file: tensors under PyTorch's names, everything else as metadata.
#include <nlohmann/json.hpp>

#include "network/bytes.hpp"
#include "network/model_file_kind.hpp"
#include "network/safetensors.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/network_file.hpp"
#include "util/atomic_file.hpp"
#include "util/json_depth.hpp"
#include "util/json_number.hpp"
#include "util/printable.hpp"

namespace smoothcert {
namespace {

constexpr const char *kFormat = "smoothcert-network-1", *kFormatOfAny = "smoothcert-network-",
                     *kInputRange = "[0,1]";

std::string record_json(const TrainingRecord& r) {
  nlohmann::ordered_json json = {
      {"regime", r.regime},   {"recipe", r.recipe}, {"sigma", r.sigma},
      {"epsilon", r.epsilon}, {"epochs", r.epochs}, {"seed", r.seed},
      {"dataset", r.dataset}, {"commit", r.commit}, {"backend", r.backend}};
  if (r.lambda > 0) json["lambda"] = r.lambda;
  return json.dump();
}

[[noreturn]] void fail_record(const std::string& where) {
  throw Error(where + ": the training record in its metadata is damaged");
}

template <class Int>
Int whole(const nlohmann::json& json, const std::string& where) {
  if (!holds_whole<Int>(json)) fail_record(where);
  return json.get<Int>();
}

TrainingRecord parse_record(const std::string& text, const std::string& where) {
  TrainingRecord r;
  try {
    const auto json = nlohmann::json::parse(text, limit_json_depth<nlohmann::json>(where));
    r.regime = json.value("regime", "");
    r.recipe = json.value("recipe", "");
    r.sigma = json.value("sigma", 0.0);
    r.lambda = json.value("lambda", 0.0);
    r.epsilon = json.value("epsilon", 0.0);
    if (json.contains("epochs")) r.epochs = whole<int>(json["epochs"], where);
    if (json.contains("seed")) r.seed = whole<std::uint64_t>(json["seed"], where);
    r.dataset = json.value("dataset", "");
    r.commit = json.value("commit", "");
    r.backend = json.value("backend", "");
  } catch (const nlohmann::json::exception&) {
    fail_record(where);
  }
  return r;
}

}  // namespace

void read_network_metadata(const SafetensorsFile& file, Network& net, const std::string& where) {
  const auto value = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  // Files of others have a format of theirs there ("pt"); ours must be the one that is read here.
  if (const auto format = value("format");
      !format.empty() && format != kFormat &&
      (format.starts_with(kFormatOfAny) || file.metadata.contains("network")))
    throw Error(where + ": its metadata says format '" + printable(format) +
                "', but this program "
                "reads '" +
                kFormat + "'; a newer version may have written it");
  if (const auto range = value("input_range"); !range.empty() && range != kInputRange)
    throw Error(where + ": its metadata says input_range '" + printable(range) +
                "', but networks are given images in " + kInputRange +
                "; describe the difference as a normalize layer in front");
  const auto clamp = value("clamp");
  if (!clamp.empty() && clamp != "true" && clamp != "false")
    throw Error(where + ": its metadata says clamp '" + printable(clamp) +
                "'; expected true or false");
  net.clamp = clamp == "true";
  net.clamp_recorded = !clamp.empty();
  if (const auto training = file.metadata.find("training"); training != file.metadata.end())
    net.record = parse_record(training->second, where);
}

std::vector<std::uint8_t> network_to_safetensors(const Network& net, const std::string& where) {
  validate(net, where);
  SafetensorsFile out;
  out.tensors = net.tensors;
  out.metadata = {{"format", kFormat},
                  {"network", network_spec_json(net.spec)},
                  {"input_range", kInputRange},
                  {"training", record_json(net.record)}};
  if (net.clamp_recorded) out.metadata["clamp"] = net.clamp ? "true" : "false";
  return format_safetensors(out);
}

void save_network(const Network& net, const std::filesystem::path& file) {
  write_file_atomically(file, network_to_safetensors(net, file.string()));
}

Network network_from_safetensors(std::span<const std::uint8_t> bytes, const std::string& where) {
  SafetensorsFile in = parse_safetensors(bytes, where);
  const auto description = in.metadata.find("network");
  if (description == in.metadata.end())
    throw Error(where +
                ": its metadata has no network description; say which network it is "
                "(--network NAME or a description file)");
  Network net;
  try {
    net.spec = parse_network_spec(description->second, where + ", metadata 'network'");
  } catch (const UsageError& e) {
    throw Error(e.what());  // the file is damaged; nobody mistyped anything
  }
  net.tensors = std::move(in.tensors);
  read_network_metadata(in, net, where);
  validate(net, where);
  return net;
}

Network load_network(const std::filesystem::path& file) {
  const auto bytes = read_file(file);
  if (const auto kind = model_file_kind(bytes); kind != ModelFileKind::safetensors) {
    refuse_legacy_checkpoint(kind, file.string());
    if (kind == ModelFileKind::onnx)
      throw Error(file.string() +
                  ": an ONNX model; 'smoothcert convert' makes a file of it that is read here");
    throw Error(file.string() +
                ": a PyTorch checkpoint does not say which network it is; say so with --network "
                "NAME or a description file");
  }
  return network_from_safetensors(bytes, file.string());
}

}  // namespace smoothcert
