// How a model is called where nobody named it.
#include "util/model_name.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace smoothcert {
namespace {

namespace fs = std::filesystem;

std::string bare_name(const fs::path& file) {
  // Letters alone are an ending; "noise_0.50" and "resnet.v2" have none.
  std::string name = file.filename().string();
  for (;;) {
    const auto dot = name.rfind('.');
    const bool letters =
        dot != std::string::npos && dot > 0 && dot + 1 < name.size() &&
        std::all_of(name.begin() + static_cast<std::ptrdiff_t>(dot) + 1, name.end(),
                    [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
    if (!letters) return name;
    name.resize(dot);
  }
}

bool says_nothing(const std::string& name) {
  static constexpr std::array<std::string_view, 12> kCommon{
      "checkpoint", "checkpoint_best", "model",      "model_best", "best",    "best_model",
      "last",       "final",           "best_state", "ckpt",       "weights", "net"};
  return std::find(kCommon.begin(), kCommon.end(), name) != kCommon.end();
}

/// The name with `folders` of the folders it is in before it, as far as there are any.
std::string with_folders(const fs::path& file, std::size_t folders) {
  std::string name = bare_name(file);
  fs::path folder = fs::absolute(file).lexically_normal().parent_path();
  for (; folders > 0 && folder.has_filename(); --folders) {
    name = folder.filename().string() + "-" + name;
    folder = folder.parent_path();
  }
  return name;
}

std::size_t least_folders(const fs::path& file) { return says_nothing(bare_name(file)) ? 1 : 0; }

}  // namespace

std::string model_name(const fs::path& file) { return with_folders(file, least_folders(file)); }

std::vector<std::string> model_names(const std::vector<fs::path>& files) {
  constexpr std::size_t kMostFolders = 64;
  std::vector<std::size_t> folders;
  for (const fs::path& file : files) folders.push_back(least_folders(file));
  std::vector<std::string> names(files.size());
  for (std::size_t round = 0; round < kMostFolders; ++round) {
    std::map<std::string, std::vector<std::size_t>> of_name;
    for (std::size_t i = 0; i < files.size(); ++i) {
      names[i] = with_folders(files[i], folders[i]);
      of_name[names[i]].push_back(i);
    }
    if (of_name.size() == files.size()) break;
    for (const auto& [name, models] : of_name)
      if (models.size() > 1)
        for (const std::size_t i : models) ++folders[i];
  }
  return names;
}

std::string safe_file_name(const std::string& name) {
  constexpr std::size_t kMost = 120;
  std::string safe;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("._-+").find(c) != std::string_view::npos;
    if (plain)
      safe += c;
    else if (!safe.ends_with('_'))
      safe += '_';
  }
  if (safe.starts_with('.') || safe.starts_with('-')) safe[0] = '_';
  if (safe.size() > kMost) safe.resize(kMost);
  return safe.empty() ? "_" : safe;
}

}  // namespace smoothcert
