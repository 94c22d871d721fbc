// Training that can be interrupted: a state file holds the last finished epoch.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "smoothcert/train.hpp"

namespace smoothcert {

/// Everything on which the trained weights depend, as JSON: network, recipe, data and subset, seed,
/// program version, device and thread count.
std::string training_identity(const Backend& backend, const NetworkSpec& spec,
                              const TrainRecipe& recipe, const Dataset& data,
                              const TrainOptions& options);

/// Atomic (rename). Throws Error.
void save_training_state(const std::filesystem::path& file, const std::string& identity,
                         const TrainResume& state);

/// Nothing where there is no such file. Throws Error when it is damaged, or was left by a training
/// of another identity: names what differs and what to do.
std::optional<TrainResume> load_training_state(const std::filesystem::path& file,
                                               const std::string& identity,
                                               const NetworkSpec& spec);

/// train() that keeps `state_file` after every epoch and goes on from it: the result is the
/// uninterrupted one, bit for bit. The caller removes the file once the result is safe. `say`
/// receives the line that tells of a resume.
TrainResult train_resumably(Backend& backend, const NetworkSpec& spec, const TrainRecipe& recipe,
                            const Dataset& data, TrainOptions options,
                            const std::filesystem::path& state_file,
                            const std::function<void(std::string_view)>& say);

}  // namespace smoothcert
