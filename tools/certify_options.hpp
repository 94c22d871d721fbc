// Options of certification and prediction, and of choosing test images.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "console.hpp"
#include "smoothcert/certificate.hpp"
#include "smoothcert/network.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace smoothcert::cli {

/// What --clamp and --no-clamp say; empty where neither is given. Throws UsageError for both.
struct ClampOptions {
  bool yes = false, no = false;
  [[nodiscard]] std::optional<bool> choice() const;
};
void add_clamp_options(CLI::App& app, ClampOptions& options, const std::string& group,
                       const std::string& yes_help, const std::string& no_help);

struct CertifyOptions {
  CertifySettings settings;             ///< what is not given on the command line
  std::optional<double> sigma, lambda;  ///< as given
  std::string noise = "lattice", mode = "exact", p_b = "complement";
  ClampOptions clamp;
  std::string stop_within, stop_at;  ///< of sequential runs; "" = n samples for every image
  std::vector<std::string>
      of_samples;           ///< given, though they mean nothing where nothing is sampled
  bool seed_given = false;  ///< --seed
};

/// --sigma --lambda --n0 --n --alpha --noise --clamp --no-clamp --mode (without n0 where
/// `with_selection` is false). `of_model`: σ or λ and clamping are the model's own where they are
/// not given.
void add_certify_options(CLI::App& app, CertifyOptions& options, bool with_selection,
                         bool of_model);
/// --p-b, of how to bound the second class, in `group` or, where that is "", among the first.
/// Throws UsageError for an unknown name.
CLI::Option* add_p_b_option(CLI::App& app, std::string& name, const std::string& group);
/// Checked. Throws UsageError.
CertifySettings certify_settings(const CertifyOptions& options);
/// The same for one model: what is not given is what its record says. One line tells of a σ or a
/// clamping that nobody gave, of the λ in use, and of the seed of the splits that a model was
/// trained with. Throws UsageError where σ or λ is neither given nor recorded.
CertifySettings certify_settings(const CertifyOptions& options, const Network& network,
                                 const std::string& file, Console& console);

/// Which images: the field's --start --skip --max.
struct SubsetOptions {
  std::uint64_t start = 0, skip = 1, max = 0;
  std::optional<std::uint64_t> sample;  ///< so many of these, at random
  std::uint64_t sample_seed = 0;
};
void add_subset_options(CLI::App& app, SubsetOptions& options);
std::vector<std::uint32_t> subset_indices(const SubsetOptions& options, std::size_t total);

}  // namespace smoothcert::cli
