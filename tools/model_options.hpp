// MODEL and --network: our own model files, and those that others trained.
#pragma once

#include <string>

#include "command.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert::cli {

struct ModelOptions {
  std::string file;
  std::string network;    ///< a built-in name or a JSON file; "" = the file says it itself
  std::string normalize;  ///< "M,M,M/S,S,S"
};

void add_model_options(CLI::App& app, ModelOptions& options);

/// `command` names the caller where no model is given, `dataset` the data set in use, which chooses
/// a normalisation that the file leaves open. Notes go to the console. Throws UsageError, Error.
Network load_model(Context& context, const ModelOptions& options, const std::string& command,
                   const std::string& dataset = "");

}  // namespace smoothcert::cli
