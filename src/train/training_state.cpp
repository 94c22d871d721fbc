// The state file of a training: one safetensors file with parameters, optimiser and history.
#include "smoothcert/training_state.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "network/safetensors.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/train.hpp"
#include "smoothcert/version.hpp"
#include "util/atomic_file.hpp"
#include "util/sha256.hpp"

namespace smoothcert {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kFormat = "smoothcert-training-1";
constexpr const char* kNetwork = "network/";
constexpr const char* kOptimizer = "optimizer/";
constexpr const char* kLoss = "history/step_loss";
constexpr const char* kAccuracy = "history/step_accuracy";

Tensor as_tensor(const std::vector<float>& values) {
  return {{static_cast<std::int64_t>(values.size())}, values};
}

/// The first field in which two identities differ; recipes field by field.
std::string first_difference(const Json& theirs, const Json& ours) {
  for (const auto& [key, value] : ours.items()) {
    const Json other = theirs.is_object() && theirs.contains(key) ? theirs.at(key) : Json();
    if (other == value) continue;
    if (value.is_object() && other.is_object()) return first_difference(other, value);
    if (key == "network" || key == "indices") return "another " + key;
    return fmt::format("{} {}, not {}", key, other.dump(), value.dump());
  }
  return "other settings";
}

[[noreturn]] void throw_damaged(const std::filesystem::path& file, const std::string& what) {
  throw Error(fmt::format("{}: the training state is damaged ({}); delete it to train from scratch",
                          file.string(), what));
}

}  // namespace

std::string training_identity(const Backend& backend, const NetworkSpec& spec,
                              const TrainRecipe& recipe, const Dataset& data,
                              const TrainOptions& options) {
  return Json{{"recipe", Json::parse(recipe_json(recipe))},
              {"seed", options.seed},
              {"network", network_spec_json(spec)},
              {"data", data.sha256},
              {"images", options.indices.empty() ? data.size() : options.indices.size()},
              {"indices",
               sha256_hex(std::string_view(reinterpret_cast<const char*>(options.indices.data()),
                                           options.indices.size() * sizeof(options.indices[0])))},
              {"version", kVersion},
              {"device", backend.describe()}}
      .dump();
}

void save_training_state(const std::filesystem::path& file, const std::string& identity,
                         const TrainResume& state) {
  SafetensorsFile out;
  for (const auto& [name, tensor] : state.network.tensors) out.tensors[kNetwork + name] = tensor;
  for (const auto& [name, tensor] : state.optimizer.slots) out.tensors[kOptimizer + name] = tensor;
  out.tensors[kLoss] = as_tensor(state.history.step_loss);
  out.tensors[kAccuracy] = as_tensor(state.history.step_accuracy);
  out.metadata = {{"format", kFormat},
                  {"identity", identity},
                  {"state", Json{{"next_epoch", state.next_epoch},
                                 {"step", state.optimizer.step},
                                 {"epoch_seconds", state.history.epoch_seconds}}
                                .dump()}};
  write_file_atomically(file, format_safetensors(out));
}

std::optional<TrainResume> load_training_state(const std::filesystem::path& file,
                                               const std::string& identity,
                                               const NetworkSpec& spec) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  SafetensorsFile in;
  try {
    in = parse_safetensors(read_file(file), file.string());
  } catch (const Error& e) {
    throw Error(std::string(e.what()) + "; delete this training state to train from scratch");
  }
  if (in.metadata["format"] != kFormat) throw_damaged(file, "not a state of this program");
  if (in.metadata["identity"] != identity)
    throw Error(fmt::format(
        "{} was left by another training: {}; finish that one with its own command, or delete the "
        "file to train from scratch",
        file.string(),
        first_difference(Json::parse(in.metadata["identity"], nullptr, false),
                         Json::parse(identity))));
  TrainResume state;
  state.network.spec = spec;
  infer_shapes(state.network.spec);
  for (auto& [name, tensor] : in.tensors) {
    if (name.starts_with(kNetwork))
      state.network.tensors[name.substr(std::string(kNetwork).size())] = std::move(tensor);
    else if (name.starts_with(kOptimizer))
      state.optimizer.slots[name.substr(std::string(kOptimizer).size())] = std::move(tensor);
    else if (name == kLoss)
      state.history.step_loss = std::move(tensor.data);
    else if (name == kAccuracy)
      state.history.step_accuracy = std::move(tensor.data);
    else
      throw_damaged(file, "tensor '" + name + "'");
  }
  try {
    const auto json = Json::parse(in.metadata["state"]);
    state.next_epoch = json.at("next_epoch");
    state.optimizer.step = json.at("step");
    state.history.epoch_seconds = json.at("epoch_seconds").get<std::vector<double>>();
  } catch (const nlohmann::json::exception&) {
    throw_damaged(file, "its metadata");
  }
  validate(state.network, file.string());
  return state;
}

TrainResult train_resumably(Backend& backend, const NetworkSpec& spec, const TrainRecipe& recipe,
                            const Dataset& data, TrainOptions options,
                            const std::filesystem::path& state_file,
                            const std::function<void(std::string_view)>& say) {
  const std::string identity = training_identity(backend, spec, recipe, data, options);
  const auto resume = load_training_state(state_file, identity, spec);
  if (resume && say)
    say(fmt::format("going on after epoch {} of {} ({})", resume->next_epoch, recipe.epochs,
                    state_file.string()));
  const auto after_epoch = std::move(options.on_epoch);
  options.on_epoch = [&](int epoch, const Network& network, const OptimizerState& optimizer,
                         const TrainHistory& history) {
    save_training_state(state_file, identity, {epoch + 1, network, optimizer, history});
    if (after_epoch) after_epoch(epoch, network, optimizer, history);
  };
  return train(backend, spec, recipe, data, options, resume ? &*resume : nullptr);
}

}  // namespace smoothcert
