// Results of several machines or days as one store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace smoothcert {

struct MergeReport {
  std::uint64_t runs = 0, certificates = 0, duplicates = 0;
  std::uint64_t missing_images = 0;  ///< only where gaps were allowed
};

struct MergeOptions {
  bool allow_gaps = false;      ///< images in no input, runs in some of them only
  bool allow_overlaps = false;  ///< an image in several inputs, with equal results
};

/// Writes a new store `out` with everything in `inputs`. Throws Error, and leaves no file, where
/// two inputs hold an image or a document with different values, or runs of another arithmetic;
/// and, unless allowed, where an image is held twice, is missing, or inputs hold different runs
/// (naming the setting that differs). UsageError where `out` exists.
MergeReport merge_stores(const std::filesystem::path& out,
                         std::span<const std::filesystem::path> inputs,
                         const MergeOptions& options = {});

}  // namespace smoothcert
