// Which tensor of a foreign file is which parameter of a network.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/known_models.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert {

/// Named tensors whose values are read once their shapes are known to fit.
struct TensorSource {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  std::function<Tensor(const std::string& name)> read;
};

/// See load_checkpoint(). `usual`: the normalisation to put in front where the names say that one
/// came first and neither file nor description says which; `usual_source` says who chose it.
Network fit_network(NetworkSpec spec, const TensorSource& source, const std::string& where,
                    std::vector<std::string>& notes,
                    const std::optional<KnownNormalization>& usual = std::nullopt,
                    const std::string& usual_source = "");

}  // namespace smoothcert
