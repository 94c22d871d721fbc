// smoothcert data: which data sets there are, where they come from, fetching them.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "data_options.hpp"
#include "options.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/error.hpp"
#include "util/format_number.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert::cli {
namespace {

class DataCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("ACTION", action_,
                   "list: the names known; show: find, check and describe one; fetch: download one "
                   "into the cache")
        ->capture_default_str();
    app.add_option("NAME", name_, "Data set or folder (MNIST without it)");
    add_data_options(app, data_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (action_ == "list") return list(context.console);
    if (action_ != "show" && action_ != "fetch")
      throw UsageError(unknown_name_message("action", action_, {"list", "show", "fetch"}));
    if (!name_.empty() && !data_.data.empty())
      throw UsageError("data: give the data set once, as NAME or with --data");
    if (!name_.empty()) data_.data = name_;
    if (action_ == "fetch") {
      if (data_.data.empty()) data_.data = "mnist";
      const auto request = data_request(context, data_, Splits::both, false);
      data_.data = fetch_data(request).string();
      context.console.end_progress();
    }
    show(context);
  }

 private:
  void list(Console& console) const {
    if (output_.json) {
      console.result(
          nlohmann::json{{"data", data_set_names()}, {"cache", default_cache_dir().string()}}.dump(
              2) +
          "\n");
      return;
    }
    std::string text;
    for (const auto& name : data_set_names()) text += name + "\n";
    console.result(text + "cache: " + default_cache_dir().string() + "\n");
  }

  static nlohmann::json split_json(const Dataset& data) {
    return {{"name", data.name},
            {"split", data.split},
            {"origin", data.origin},
            {"images", data.size()},
            {"shape", {data.shape.channels, data.shape.height, data.shape.width}},
            {"classes", data.classes},
            {"sha256", data.sha256}};
  }

  /// Both splits, or the one that is there: 'certify' needs no training images either.
  DataPair load_what_there_is(Context& context) {
    try {
      return load_data(context, data_, Splits::both, false);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {
      data_.no_download = true;  // it was tried
      for (const Splits splits : {Splits::test, Splits::train}) {
        try {
          return load_data(context, data_, splits, false);
        } catch (const Error&) {  // the first one says it all
        }
      }
      throw;
    }
  }

  void show(Context& context) {
    const auto pair = load_what_there_is(context);
    std::vector<const Dataset*> splits;
    for (const auto* data : {&pair.train, &pair.test})
      if (data->size() > 0) splits.push_back(data);
    if (output_.json) {
      nlohmann::json json;
      for (const auto* data : splits) json[data->split] = split_json(*data);
      context.console.result(json.dump(2) + "\n");
      return;
    }
    std::string text;
    for (const auto* data : splits) {
      std::vector<std::uint64_t> counts(static_cast<std::size_t>(data->classes));
      for (const auto label : data->labels) ++counts[label];
      text += fmt::format(
          "{} {}: {} of {} × {} × {}, {} classes\n  from {}\n  sha256 {}\n  per class", data->name,
          data->split, counted(data->size(), "image"), data->shape.channels, data->shape.height,
          data->shape.width, data->classes, data->origin, data->sha256);
      for (const auto count : counts) text += " " + std::to_string(count);
      text += "\n";
    }
    context.console.result(text);
  }

  std::string action_ = "list", name_;
  DataOptions data_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_data_command() { return std::make_unique<DataCommand>(); }

}  // namespace smoothcert::cli
