// The library's exceptions. The library throws; only main() turns them into exit codes.
#pragma once

#include <stdexcept>
#include <string>

namespace smoothcert {

/// A run-time failure: one line that says what is wrong, where, and what to do. Exit code 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The caller asked for something that makes no sense (flags, ranges, names). Exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// The user asked to stop (Ctrl-C). What was finished is stored. Exit code 130.
class Interrupted : public Error {
 public:
  using Error::Error;
};

}  // namespace smoothcert
