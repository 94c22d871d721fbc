// How a model is called where nobody named it: by its file, told apart from others.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace smoothcert {

/// The file's name without its endings (.pth.tar, .safetensors, …). A name that half of all files
/// have ("checkpoint", "model_best") says nothing: the folder's comes before it, as in
/// "noise_0.25-checkpoint".
std::string model_name(const std::filesystem::path& file);

/// The same for several models: where two would be called alike, as many folders as tell them apart
/// come before the names. Equal paths stay equal.
std::vector<std::string> model_names(const std::vector<std::filesystem::path>& files);

/// `name` as part of a file name on any system: letters, digits and "._-+" stay, runs of anything
/// else become one "_"; never empty, never hidden, at most 120 bytes.
std::string safe_file_name(const std::string& name);

}  // namespace smoothcert
