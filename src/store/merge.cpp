// One store from several: the shards of a sweep that ran on several machines.
#include "smoothcert/merge.hpp"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "smoothcert/error.hpp"
#include "smoothcert/version.hpp"
#include "store/canonical_dump.hpp"
#include "store/codec.hpp"
#include "store/index_set.hpp"
#include "util/format_number.hpp"

namespace smoothcert {

namespace {

/// What is known of a store that is not open: hundreds of them need no hundreds of files.
struct Input {
  std::filesystem::path file;
  std::vector<RunInfo> runs;

  [[nodiscard]] std::unique_ptr<ResultsStore> open() const {
    return ResultsStore::open(file, ResultsStore::Access::read_only);
  }
};

// "sigma=0.5 n=1000 …" as its parts.
std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == ' ') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// Which settings tell `run` apart from the most similar run of `others`.
std::string difference(const RunInfo& run, const std::vector<RunInfo>& others) {
  const auto ours = words(run_identity(run.settings));
  std::string best;
  std::size_t fewest = ours.size() + 1;
  for (const RunInfo& other : others) {
    const auto theirs = words(run_identity(other.settings));
    std::string text;
    std::size_t count = 0;
    for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
      if (ours[i] == theirs[i]) continue;
      ++count;
      text += fmt::format("{}{} here, {} there", count > 1 ? "; " : "", ours[i], theirs[i]);
    }
    if (count < fewest) {
      fewest = count;
      best = text;
    }
  }
  return best.empty() ? "it has no runs" : best;
}

void check_same_runs(const std::vector<Input>& inputs, bool allow_gaps) {
  std::map<std::string, RunInfo> all;
  for (const Input& input : inputs) {
    for (const RunInfo& run : input.runs) {
      if (run.settings.arithmetic != kArithmetic) {
        throw Error(
            fmt::format("'{}' holds a run of arithmetic '{}', this smoothcert ({}) merges "
                        "'{}' only",
                        input.file.string(), run.settings.arithmetic, kVersion, kArithmetic));
      }
      all.emplace(run.key, run);
    }
  }
  if (allow_gaps) return;
  for (const Input& input : inputs) {
    const auto& runs = input.runs;
    for (const auto& [key, run] : all) {
      const bool held = std::ranges::find(runs, key, &RunInfo::key) != runs.end();
      if (held) continue;
      throw Error(
          fmt::format("mixed settings: '{}' does not hold the run of '{}' at {} {} that "
                      "another store holds ({}); --allow-gaps merges all the same",
                      input.file.string(), run.settings.model_name,
                      noise_traits(run.settings.certify.noise).scale, run.settings.certify.sigma,
                      difference(run, runs)));
    }
  }
}

void merge_run(ResultsStore& out, const Input& input, const ResultsStore& store, const RunInfo& run,
               const MergeOptions& options, MergeReport& report) {
  const RunInfo target = out.find_or_create_run(run.settings);
  std::map<std::uint32_t, std::string> held;
  for (const Certificate& c : out.certificates(target.id)) {
    held.emplace(c.image, store::certificate_text(c));
  }
  for (const Certificate& c : store.certificates(run.id)) {
    const auto found = held.find(c.image);
    if (found == held.end()) {
      out.add_certificate(target.id, c);
      ++report.certificates;
    } else if (found->second == store::certificate_text(c)) {
      if (!options.allow_overlaps) {
        throw Error(fmt::format(
            "'{}' holds image {} of '{}' at {} {}, and so does a store before it; are these the "
            "shards of one sweep? --allow-overlaps merges all the same, as the results are equal",
            input.file.string(), c.image, run.settings.model_name,
            noise_traits(run.settings.certify.noise).scale, run.settings.certify.sigma));
      }
      ++report.duplicates;
    } else {
      throw Error(
          fmt::format("'{}' holds image {} of '{}' with another result than the stores "
                      "before it ({} against {})",
                      input.file.string(), c.image, run.settings.model_name,
                      store::certificate_text(c), found->second));
    }
  }
  for (const ChunkCounts& chunk : store.chunks(run.id)) out.add_chunk(target.id, chunk);
  for (const Disproof& disproof : store.disproofs(run.id)) out.add_disproof(target.id, disproof);
}

void merge_document(ResultsStore& out, const Input& input, const ResultsStore& store,
                    const std::string& key) {
  const std::string text = store.document(key).value_or("");
  const auto held = out.document(key);
  if (!held) {
    out.put_document(key, text);
  } else if (key.starts_with(store::kSubsetPrefix)) {
    const auto all =
        store::index_union(store::parse_index_set(*held, key), store::parse_index_set(text, key));
    out.put_document(key, store::index_set_text(all));
  } else if (store::canonical_document(*held) != store::canonical_document(text)) {
    throw Error(
        fmt::format("'{}' holds the document '{}' with another content than the stores "
                    "before it",
                    input.file.string(), key));
  }
}

std::uint64_t count_gaps(const ResultsStore& out, bool allow_gaps) {
  std::uint64_t missing = 0;
  for (const RunInfo& run : out.runs()) {
    std::set<std::uint32_t> held;
    for (const Certificate& c : out.certificates(run.id)) held.insert(c.image);
    std::vector<std::uint32_t> gaps;
    for (const std::uint32_t i : expected_indices(out, run.key)) {
      if (!held.contains(i)) gaps.push_back(i);
    }
    if (!gaps.empty() && !allow_gaps) {
      throw Error(fmt::format(
          "{} of '{}' at {} {}: in none of the stores, the first is image {}; certify what is "
          "missing, or merge with --allow-gaps",
          counted(gaps.size(), "image"), run.settings.model_name,
          noise_traits(run.settings.certify.noise).scale, run.settings.certify.sigma,
          gaps.front()));
    }
    missing += gaps.size();
  }
  return missing;
}

void remove_store(const std::filesystem::path& file) {
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    std::filesystem::remove(file.string() + suffix, ignored);
  }
}

}  // namespace

MergeReport merge_stores(const std::filesystem::path& out,
                         std::span<const std::filesystem::path> inputs,
                         const MergeOptions& options) {
  if (inputs.empty()) throw UsageError("there is nothing to merge");
  std::error_code ignored;
  if (std::filesystem::exists(out, ignored)) {
    throw UsageError("'" + out.string() + "' exists; merge writes a new store");
  }
  std::vector<Input> known;
  for (const auto& file : inputs) {
    Input input{file, {}};
    input.runs = input.open()->runs();
    known.push_back(std::move(input));
  }
  check_same_runs(known, options.allow_gaps);
  // Under another name until it is whole: whoever finds `out` finds all of it.
  const std::filesystem::path partial = out.string() + ".partial";
  remove_store(partial);
  MergeReport report;
  try {
    {
      auto store = ResultsStore::open(partial, ResultsStore::Access::read_write);
      for (const Input& input : known) {
        const auto part = input.open();
        for (const RunInfo& run : input.runs) {
          merge_run(*store, input, *part, run, options, report);
        }
        for (const std::string& key : part->document_keys()) {
          merge_document(*store, input, *part, key);
        }
      }
      store->flush();
      report.runs = store->runs().size();
      report.missing_images = count_gaps(*store, options.allow_gaps);
    }
    std::filesystem::rename(partial, out);
  } catch (...) {
    remove_store(partial);
    throw;
  }
  return report;
}

}  // namespace smoothcert
