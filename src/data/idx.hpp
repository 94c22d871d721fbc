// The IDX format of MNIST (yann.lecun.com/exdb/mnist): a magic number, big-endian sizes, bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/dataset.hpp"

namespace smoothcert {

/// An array of unsigned bytes, first dimension outermost.
struct IdxArray {
  std::vector<std::uint32_t> dims;
  std::vector<std::uint8_t> data;
};

/// Parses a whole file, plain or gzip. Strict: the data must be exactly what the header says.
/// Throws Error naming `where`, what was found, what was expected and what to do.
IdxArray parse_idx(std::span<const std::uint8_t> file, const std::string& where);
IdxArray read_idx(const std::filesystem::path& file);

/// Images N×H×W or N×C×H×W and labels N as one split, its hash filled in. Throws Error where the
/// counts differ or a label is not below `classes`.
Dataset dataset_from_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                         int classes);
Dataset dataset_from_idx(IdxArray images, const std::string& images_where, IdxArray labels,
                         const std::string& labels_where, int classes);

}  // namespace smoothcert
