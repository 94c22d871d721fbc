// smoothcert merge: the stores of several machines as one.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "options.hpp"
#include "run_list.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/merge.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

class MergeCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("STORES", inputs_, "Stores to merge; they are only read")->expected(-1);
    app.add_option("-o,--out", out_, "Store to write; it must not exist")
        ->type_name("FILE")
        ->capture_default_str();
    app.add_flag("--allow-gaps", options_.allow_gaps,
                 "Merge although images are missing, or runs that only some stores hold");
    app.add_flag("--allow-overlaps", options_.allow_overlaps,
                 "Merge although stores hold the same image; its results must be equal");
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (inputs_.empty())
      throw UsageError(
          "merge: which stores? As in 'smoothcert merge sweep.1-of-2.sqlite sweep.2-of-2.sqlite "
          "--out sweep.sqlite'");
    require_writable(out_);
    std::vector<std::filesystem::path> files;
    for (const auto& input : inputs_) files.push_back(store_file(input));
    const MergeReport report = merge_stores(out_, files, options_);
    if (output_.json) {
      context.console.result(nlohmann::json{{"store", out_},
                                            {"runs", report.runs},
                                            {"certificates", report.certificates},
                                            {"duplicates", report.duplicates},
                                            {"missing_images", report.missing_images}}
                                 .dump(2) +
                             "\n");
      return;
    }
    context.console.result(fmt::format(
        "{}: {}, {} from {}{}{}\n", out_, counted(report.runs, "run"),
        counted(report.certificates, "certificate"), counted(files.size(), "store"),
        report.duplicates > 0 ? fmt::format(", {} held twice", format_count(report.duplicates))
                              : "",
        report.missing_images > 0
            ? fmt::format(", {} missing", counted(report.missing_images, "image"))
            : ""));
  }

 private:
  std::vector<std::string> inputs_;
  std::string out_ = "merged.sqlite";
  MergeOptions options_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_merge_command() { return std::make_unique<MergeCommand>(); }

}  // namespace smoothcert::cli
