// Whole-file writes that never leave half a file, and whole-file reads with a bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace smoothcert {

/// Writes to a temporary file beside `file`, fsyncs it, renames it over `file`. On failure (full
/// disk, unwritable folder) the old file is untouched, the temporary one removed, and Error thrown.
/// A symbolic link stays, and what it points to is replaced; a device or a pipe (/dev/stdout) is
/// never replaced, but written into.
void write_file_atomically(const std::filesystem::path& file, std::span<const std::uint8_t> bytes);
void write_file_atomically(const std::filesystem::path& file, std::string_view text);

/// The file that writing to `file` changes: what a symbolic link points to.
std::filesystem::path write_target(const std::filesystem::path& file);
/// Whether `file` is there and neither a file nor a folder: a device, a pipe, a socket.
bool is_special_file(const std::filesystem::path& file);

/// A pipe is read to its end. Throws Error: missing, unreadable, a folder, a device, or larger than
/// `limit` bytes.
std::vector<std::uint8_t> read_file(const std::filesystem::path& file,
                                    std::size_t limit = std::size_t{8} << 30);

}  // namespace smoothcert
