// smoothcert import: other people's certification files, kept beside ours for the report.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "options.hpp"
#include "run_list.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/summary.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

class ImportCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("FILES", files_, "Files of 'idx label predict radius correct time'")
        ->expected(-1);
    app.add_option("--store", store_, "Results store, created where missing")
        ->type_name("FILE")
        ->capture_default_str();
    app.add_option("--name", name_, "Name in the report (the file's, without .tsv, .txt or .csv)")
        ->type_name("TEXT");
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (files_.empty())
      throw UsageError("import: which file? As in 'smoothcert import cohen-0.50.tsv'");
    if (!name_.empty() && files_.size() > 1)
      throw UsageError("import: --name goes with one file at a time");
    std::vector<ImportedResults> all;
    for (const auto& file : files_) {
      auto results = import_tsv(file);
      if (!name_.empty()) results.name = name_;
      for (const auto& note : results.notes) context.console.say(note);
      if (results.certificates.empty()) {
        context.console.warn(fmt::format("{}: no images in it; nothing was imported", file));
        continue;
      }
      all.push_back(std::move(results));
      const auto same = std::ranges::find(all, all.back().name, &ImportedResults::name);
      if (same != std::prev(all.end()))
        throw UsageError(
            fmt::format("import: {} and {} would both be named '{}', and one would take "
                        "the other's place; import one of them alone, with --name",
                        same->origin, file, same->name));
    }
    if (all.empty()) throw Error("import: no images in these files; nothing was imported");
    const auto file = new_store_file(store_);
    const auto store = ResultsStore::open(file, ResultsStore::Access::read_write);
    for (const auto& held : imported_results(*store))
      for (const auto& results : all)
        if (held.name == results.name && !same_file(held.origin, results.origin))
          throw UsageError(fmt::format(
              "import: {} already holds results named '{}', from {}; give these another --name",
              file.string(), held.name, held.origin));
    nlohmann::json json = nlohmann::json::array();
    for (const auto& results : all) {
      put_imported(*store, results);
      const Summary s = summarise_imported(results.certificates);
      json.push_back({{"name", results.name}, {"images", s.images}, {"acr", s.acr}});
      if (!output_.json)
        context.console.result(
            fmt::format("{}: {}, {} correct & certified, {} wrong, {} abstained, acr {}\n",
                        results.name, counted(s.images, "image"), format_count(s.correct_certified),
                        format_count(s.wrong), format_count(s.abstained), format_down(s.acr, 4)));
    }
    store->flush();
    if (output_.json)
      context.console.result(nlohmann::json{{"store", file.string()}, {"imported", json}}.dump(2) +
                             "\n");
    context.console.say(fmt::format("kept in {}; 'smoothcert report {}' plots it", file.string(),
                                    shell_quoted(file.string())));
  }

 private:
  /// Older stores hold the path as it was given.
  static bool same_file(const std::filesystem::path& held, const std::filesystem::path& given) {
    return std::filesystem::absolute(held).lexically_normal() == given;
  }

  std::vector<std::string> files_;
  std::string store_ = "results.sqlite", name_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_import_command() { return std::make_unique<ImportCommand>(); }

}  // namespace smoothcert::cli
