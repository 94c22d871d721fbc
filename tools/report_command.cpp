// smoothcert report: the report of a comparison's folder, or of all runs of a store.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "data_options.hpp"
#include "options.hpp"
#include "run_list.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/report.hpp"
#include "smoothcert/study.hpp"

namespace smoothcert::cli {
namespace {

namespace fs = std::filesystem;

class ReportCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option(
           "DIR|STORE", source_,
           "Folder that 'smoothcert compare' wrote, or a results store, or a folder with one")
        ->capture_default_str();
    app.add_option("--tables", tables_, "Print the tables for a paper instead: markdown or latex")
        ->type_name("FORMAT");
    app.add_option("--peer", peers_,
                   "Plot this TSV file as well, under its own name or another (repeatable)")
        ->type_name("[NAME=]FILE");
    app.add_option("-o,--out", out_, "Folder for a store's report (STORE-report)")
        ->type_name("DIR");
    app.add_flag("--pictures", pictures_,
                 "Show the images that are robustly wrong: a store has no pixels, --data names the "
                 "data of its runs");
    add_data_options(app, data_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (!tables_.empty()) (void)table_format_from_name(tables_);
    if (!pictures_ && (!data_.data.empty() || data_.round || !data_.mirror.empty()))
      throw UsageError("report: data is looked at for --pictures only");
    if (pictures_ && !tables_.empty())
      throw UsageError("report: --tables prints no pictures; leave one of both out");
    const fs::path file = store_file(source_);
    std::error_code ignored;
    const bool folder = fs::is_directory(source_, ignored);
    const bool compared = fs::is_directory(fs::path(source_) / "models", ignored);
    if (folder && file.filename() == kResultsFile && peers_.empty()) {
      if (holds_study(file)) return study(context.console);
      if (compared)
        context.console.say(
            fmt::format("{}: the comparison is not finished ('smoothcert compare --out {}' goes "
                        "on); this is about its runs so far",
                        file.string(), shell_quoted(source_)));
    }
    sweep(context, file);
  }

 private:
  void print_tables(Console& console, const std::string& text) const {
    console.result(output_.json ? nlohmann::json{{"tables", text}}.dump(2) + "\n" : text);
  }

  void study(Console& console) const {
    if (!out_.empty())
      throw UsageError(
          "report: the report of a comparison stays in its folder; --out is for stores");
    if (pictures_)
      throw UsageError("report: a comparison keeps its pictures; --pictures is for stores");
    const auto study = load_study(source_);
    if (!tables_.empty())
      return print_tables(console, report_tables(study, table_format_from_name(tables_)));
    const auto files = write_report(study, source_);
    if (!files.note.empty()) console.say(files.note);
    if (output_.json) {
      console.result(study_summary_json(study) + "\n");
      return;
    }
    console.result(study_table(study) + "\nreport: " + files.html.string() + "\n");
  }

  void sweep(Context& context, const fs::path& file) const {
    SweepResult sweep = sweep_of_store(file, fault_handler(context, file));
    sweep.command = context.command_line;
    for (const auto& peer : peers_) {
      const auto equals = peer.find('=');
      if (equals == std::string::npos)
        add_peer(sweep, peer);
      else
        add_peer(sweep, peer.substr(equals + 1), peer.substr(0, equals));
    }
    if (pictures_) {
      add_pictures(sweep, load_data(context, data_, Splits::test, false).test);
      if (sweep.worst.empty())
        context.console.say("no image is certified with another class than its label");
    }
    for (const std::string& line : sweep.left_out) context.console.warn(line);
    if (!tables_.empty())
      return print_tables(context.console, sweep_tables(sweep, table_format_from_name(tables_)));
    fs::path folder = out_;
    if (out_.empty()) folder = file.parent_path() / (file.stem().string() + "-report");
    const auto files = write_sweep_report(sweep, folder);
    if (!files.note.empty()) context.console.say(files.note);
    if (output_.json) {
      const auto store = open_store(context, file);
      context.console.result(nlohmann::json{{"report", files.html.string()},
                                            {"runs", run_array(*store)},
                                            {"analysis", nlohmann::json::parse(sweep_json(sweep))}}
                                 .dump(2) +
                             "\n");
      return;
    }
    context.console.result(sweep_tables(sweep, TableFormat::markdown) +
                           "\nreport: " + files.html.string() + "\n");
  }

  std::string source_ = "smoothcert-report", tables_, out_;
  std::vector<std::string> peers_;
  bool pictures_ = false;
  DataOptions data_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_report_command() { return std::make_unique<ReportCommand>(); }

}  // namespace smoothcert::cli
