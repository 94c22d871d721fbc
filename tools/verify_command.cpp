// smoothcert verify: whether a store's rows say what their counts say, and whether the counts come
// out again when they are drawn again.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>

#include "commands.hpp"
#include "data_options.hpp"
#include "model_options.hpp"
#include "options.hpp"
#include "run_list.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/result_files.hpp"
#include "util/format_number.hpp"
#include "util/printable.hpp"

namespace smoothcert::cli {
namespace {

class VerifyCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("STORE", store_, "Results store, or a folder with one")->capture_default_str();
    app.add_flag("--remove", remove_, "Take rows that fail out of the store, to be drawn again");
    const std::string group = "Drawing again";
    add_count_option(app, "--redraw", redraw_, "Draw this many images of each run again")
        ->group(group);
    app.add_option("--model", model_.file, "The model of the runs that are drawn again")
        ->type_name("FILE")
        ->group(group);
    app.add_option("--network", model_.network, "Its network, where the file does not say")
        ->type_name("NAME|FILE")
        ->group(group);
    app.add_option("--normalize", model_.normalize, "Its normalisation, where the file has none")
        ->type_name("M,M,M/S,S,S")
        ->group(group);
    add_seed_option(app, seed_, "Seed that chooses the images");
    add_data_options(app, data_);
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (redraw_ > 0 && model_.file.empty())
      throw UsageError("verify: --redraw draws with which model? Give its file with --model");
    const auto file = store_file(store_);
    std::uint64_t certificates = 0, chunks = 0, disproofs = 0, removed = 0, redrawn = 0;
    std::size_t runs = 0;
    {
      const auto store = open_store(context, file);
      for (const RunInfo& run : store->runs()) {
        ++runs;
        certificates += store->certificates(run.id).size();
        chunks += store->chunks(run.id).size();
        disproofs += store->disproofs(run.id).size();
      }
      check_documents(context, *store, file);
      if (redraw_ > 0) redrawn = draw_again(context, *store);
    }
    const std::uint64_t faults = context.left_out - documents_ - different_;
    if (remove_ && faults > 0) {
      removed = ResultsStore::open(file, ResultsStore::Access::read_write, [](const auto&) {
                })->remove_faulty_rows();
      context.left_out -= faults;  // what failed is gone
    }
    if (output_.json) {
      context.console.result(nlohmann::json{{"store", file.string()},
                                            {"runs", runs},
                                            {"certificates", certificates},
                                            {"partial_counts", chunks},
                                            {"disproofs", disproofs},
                                            {"faults", faults},
                                            {"faulty_documents", documents_},
                                            {"removed", removed},
                                            {"redrawn", redrawn},
                                            {"redrawn_otherwise", different_}}
                                 .dump(2) +
                             "\n");
      return;
    }
    context.console.result(
        fmt::format("{}: {}, {}, {} in order; {} {}{}{}\n", file.string(), counted(runs, "run"),
                    counted(certificates, "certificate"),
                    counted(chunks, "partial count") +
                        (disproofs > 0 ? ", " + counted(disproofs, "disproof") : ""),
                    counted(faults, "row"), faults == 1 ? "fails" : "fail",
                    removed > 0 ? fmt::format(", {} taken out", counted(removed, "row")) : "",
                    redraw_ > 0 ? fmt::format("; {} drawn again, {} of them otherwise",
                                              counted(redrawn, "image"), different_)
                                : ""));
  }

 private:
  /// The documents that other commands rest on: which images a run is meant to hold, and what was
  /// imported. --remove leaves them: only their owner knows what they said.
  void check_documents(Context& context, const ResultsStore& store,
                       const std::filesystem::path& file) {
    const auto check = [&](auto&& read) {
      try {
        read();
      } catch (const Error& error) {
        ++documents_;
        ++context.left_out;
        context.console.warn(fmt::format("{}: {}", file.string(), printable(error.what(), 400)));
      }
    };
    for (const RunInfo& run : store.runs()) check([&] { (void)expected_indices(store, run.key); });
    check([&] { (void)imported_results(store); });
  }

  /// Counts are a function of model, settings and seed: drawn again they must be the same.
  std::uint64_t draw_again(Context& context, const ResultsStore& store) {
    const Network network = load_model(context, model_, "verify", data_.data);
    const Dataset data = load_data(context, data_, Splits::test, false, network.spec.classes).test;
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    context.console.say(note);
    const auto model = backend->load(network);
    std::uint64_t redrawn = 0;
    bool any = false;
    for (const RunInfo& run : store.runs()) {
      const RunSettings ours =
          make_run_settings(network, run.settings.model_name, *model, data, run.settings.certify);
      if (run_key(ours) != run.key) {
        context.console.say(fmt::format(
            "run {} is of another model, data set or program version, and was not drawn again",
            run.id));
        continue;
      }
      any = true;
      const auto stored = store.certificates(run.id);
      std::vector<std::uint32_t> images;
      for (const Certificate& c : stored) images.push_back(c.image);
      std::vector<std::uint32_t> chosen;
      std::mt19937_64 random(seed_);
      std::ranges::sample(images, std::back_inserter(chosen), static_cast<std::int64_t>(redraw_),
                          random);
      for (const std::string& line :
           redraw_differences(*model, data, run, stored, chosen, context.stop)) {
        ++different_;
        ++context.left_out;
        context.console.warn(line);
      }
      redrawn += chosen.size();
    }
    if (!any)
      throw UsageError(fmt::format(
          "verify: no run of {} is of this model, data set and program version; nothing can be "
          "drawn again",
          store_));
    return redrawn;
  }

  std::string store_ = "results.sqlite";
  bool remove_ = false;
  std::uint64_t redraw_ = 0, seed_ = 0, different_ = 0, documents_ = 0;
  ModelOptions model_;
  DataOptions data_;
  DeviceOptions device_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_verify_command() { return std::make_unique<VerifyCommand>(); }

}  // namespace smoothcert::cli
