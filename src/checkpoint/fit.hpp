// Which tensor of a foreign file is which parameter of a network.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "smoothcert/network.hpp"

namespace smoothcert {

/// Named tensors whose values are read once their shapes are known to fit.
struct TensorSource {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  std::function<Tensor(const std::string& name)> read;
};

/// See load_checkpoint().
Network fit_network(NetworkSpec spec, const TensorSource& source, const std::string& where,
                    std::vector<std::string>& notes);

}  // namespace smoothcert
