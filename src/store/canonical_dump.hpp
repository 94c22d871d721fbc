// The text by which two stores are compared.
#pragma once

#include <string>

#include "store/sqlite.hpp"
#include "store/tables.hpp"

namespace smoothcert::store {

/// Runs by identity, certificates by image, chunks by sample range, documents by key, without
/// times, devices and program versions.
std::string canonical_dump(Database& db, const Reading& reading);

/// A JSON document without times, devices and program versions; other text as it is.
std::string canonical_document(const std::string& text);

}  // namespace smoothcert::store
