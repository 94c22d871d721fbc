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
    app.add_option("--name", name_, "Name in the report (the file's, without its ending)")
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
      all.push_back(import_tsv(file));
      all.back().name = name_.empty() ? std::filesystem::path(file).stem().string() : name_;
      const auto same = std::ranges::find(all, all.back().name, &ImportedResults::name);
      if (same != std::prev(all.end()))
        throw UsageError(
            fmt::format("import: {} and {} would both be named '{}', and one would take "
                        "the other's place; import one of them alone, with --name",
                        same->origin, file, same->name));
    }
    const auto file = new_store_file(store_);
    const auto store = ResultsStore::open(file, ResultsStore::Access::read_write);
    for (const auto& held : imported_results(*store))
      for (const auto& results : all)
        if (held.name == results.name && held.origin != results.origin)
          throw UsageError(fmt::format(
              "import: {} already holds results named '{}', from {}; give these another --name",
              file.string(), held.name, held.origin));
    nlohmann::json json = nlohmann::json::array();
    for (const auto& results : all) {
      put_imported(*store, results);
      const Summary s = summarise(results.certificates);
      json.push_back({{"name", results.name}, {"images", s.images}, {"acr", s.acr}});
      if (!output_.json)
        context.console.result(
            fmt::format("{}: {} images, {} correct & certified, {} wrong, {} abstained, acr {}\n",
                        results.name, format_count(s.images), format_count(s.correct_certified),
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
  std::vector<std::string> files_;
  std::string store_ = "results.sqlite", name_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_import_command() { return std::make_unique<ImportCommand>(); }

}  // namespace smoothcert::cli
