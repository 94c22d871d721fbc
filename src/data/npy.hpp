// NumPy's array files: .npy, and .npz, a ZIP of them (numpy.lib.format's description).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace smoothcert {

struct NpyArray {
  char kind = 'u';  ///< 'u' unsigned, 'i' signed, 'f' floating point, 'b' boolean
  int width = 1;    ///< bytes an element, little-endian
  std::vector<std::uint64_t> shape;
  std::vector<std::uint8_t> data;  ///< row-major

  [[nodiscard]] std::uint64_t elements() const {
    return data.size() / static_cast<std::uint64_t>(width);
  }
};

/// Strict: the data must be exactly what the header says. Big-endian and column-major arrays are
/// turned into little-endian row-major ones; Python objects are refused. Throws Error naming
/// `where`.
NpyArray parse_npy(std::span<const std::uint8_t> bytes, const std::string& where);

/// The arrays of an .npz by their names, those that `wanted` lists; others are not unpacked.
std::map<std::string, NpyArray> parse_npz(std::span<const std::uint8_t> bytes,
                                          const std::vector<std::string>& wanted,
                                          const std::string& where);

/// "float32", "uint8", …
std::string dtype_name(const NpyArray& array);

}  // namespace smoothcert
