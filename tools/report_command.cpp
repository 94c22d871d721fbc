// smoothcert report: the report of a folder again, from what its store holds.
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "commands.hpp"
#include "options.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/report.hpp"
#include "smoothcert/study.hpp"

namespace smoothcert::cli {
namespace {

class ReportCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("DIR", folder_, "Folder that 'smoothcert compare' wrote")->capture_default_str();
    app.add_option("--tables", tables_, "Print the tables for a paper instead: markdown or latex")
        ->type_name("FORMAT");
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    const auto study = load_study(folder_);
    if (!tables_.empty()) {
      context.console.result(report_tables(study, table_format_from_name(tables_)));
      return;
    }
    const auto files = write_report(study, folder_);
    if (!files.note.empty()) context.console.say(files.note);
    if (output_.json) {
      context.console.result(study_summary_json(study) + "\n");
      return;
    }
    context.console.result(study_table(study) + "\nreport: " + files.html.string() + "\n");
  }

 private:
  std::string folder_ = "smoothcert-report", tables_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_report_command() { return std::make_unique<ReportCommand>(); }

}  // namespace smoothcert::cli
