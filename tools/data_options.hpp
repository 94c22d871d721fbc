// --data and its companions.
#pragma once

#include <string>

#include "command.hpp"
#include "smoothcert/data_source.hpp"

namespace smoothcert::cli {

struct DataOptions {
  std::string data;  ///< a name, a folder, or "" for MNIST
  bool no_download = false;
  std::string mirror;       ///< base URL, "" = the built-in ones
  bool round = false;       ///< accept float images
  std::string digits_size;  ///< "TRAIN,TEST"
};

void add_data_options(CLI::App& app, DataOptions& options);

enum class Splits { train, test, both };

/// What the options ask for, progress and Ctrl-C wired up. `context` must outlive it.
DataRequest data_request(Context& context, const DataOptions& options, Splits splits,
                         bool allow_digits);

/// Loads what the options ask for, telling where it came from on stderr. `allow_digits`: where
/// nothing was asked for and MNIST cannot be had, the built-in digits stand in. `classes`: of the
/// model that is to answer, 0 where there is none.
DataPair load_data(Context& context, const DataOptions& options, Splits splits, bool allow_digits,
                   int classes = 0);

}  // namespace smoothcert::cli
