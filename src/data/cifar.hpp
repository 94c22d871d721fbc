// CIFAR-10 and CIFAR-100 in their authors' binary version (cs.toronto.edu/~kriz/cifar.html).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "data/labelled.hpp"
#include "smoothcert/dataset.hpp"

namespace smoothcert {

/// Appends the records of one file: for 10 classes a label, for 100 a coarse and a fine label (the
/// fine one is kept), then 3072 bytes of 3×32×32. Throws Error where it is no whole number of them.
void append_cifar(LabelledImages& images, std::span<const std::uint8_t> bytes, int classes,
                  const std::string& where);

/// The Python version: pickles of a dict with `data` (N×3072 uint8) and `labels` (10 classes) or
/// `fine_labels` (100), named data_batch_1 … data_batch_5 and test_batch, or train and test.
/// Nothing in them is executed. As read_cifar_split() otherwise.
std::optional<Dataset> read_cifar_python_split(const std::filesystem::path& dir,
                                               const std::string& split, int classes);
/// Appends what one of its files holds. Throws Error.
void append_cifar_python(LabelledImages& images, std::span<const std::uint8_t> bytes, int classes,
                         const std::string& where);

/// data_batch_1.bin … data_batch_5.bin or test_batch.bin (10 classes), train.bin or test.bin (100).
/// Nothing where the first file is not there; Error where only others are missing.
std::optional<Dataset> read_cifar_split(const std::filesystem::path& dir, const std::string& split,
                                        int classes);

}  // namespace smoothcert
