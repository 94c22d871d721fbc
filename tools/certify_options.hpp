// Options of certification and prediction, and of choosing test images.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "smoothcert/certificate.hpp"

namespace CLI {
class App;
}

namespace smoothcert::cli {

struct CertifyOptions {
  CertifySettings settings;
  std::string noise = "lattice", mode = "exact", p_b = "complement";
  bool no_clamp = false;
};

/// --sigma --n0 --n --alpha --noise --no-clamp --mode (without n0 where `with_selection` is false).
void add_certify_options(CLI::App& app, CertifyOptions& options, bool with_selection);
/// --p-b, of how to bound the second class. Throws UsageError for an unknown name.
void add_p_b_option(CLI::App& app, std::string& name, const std::string& group);
/// Checked. Throws UsageError.
CertifySettings certify_settings(const CertifyOptions& options);

/// Which images: the field's --start --skip --max.
struct SubsetOptions {
  std::uint64_t start = 0, skip = 1, max = 0;
};
void add_subset_options(CLI::App& app, SubsetOptions& options);
std::vector<std::uint32_t> subset_indices(const SubsetOptions& options, std::size_t total);

}  // namespace smoothcert::cli
