// Images and labels from NumPy arrays.
#pragma once

#include <filesystem>
#include <optional>

#include "data/npy.hpp"
#include "smoothcert/dataset.hpp"

namespace smoothcert {

/// Images N×H×W, N×C×H×W or N×H×W×C (the smaller of the outer dimensions is the channels), integers
/// of any type from 0 to 255, or floating point that is n/255 up to its own rounding, or, where
/// `round_to_lattice`, anything in [0,1], rounded to n/255; labels N or N×1, any
/// integer type. Throws Error.
Dataset dataset_from_arrays(const NpyArray& images, const std::string& images_where,
                            const NpyArray& labels, const std::string& labels_where, int classes,
                            bool round_to_lattice);

/// Split "train" or "test" of a folder ({split}.npz, {split}-images.npy with {split}-labels.npy) or
/// of a single .npz that holds x_{split} and y_{split}. Nothing where the files are not there.
std::optional<Dataset> read_numpy_split(const std::filesystem::path& place,
                                        const std::string& split, int classes,
                                        bool round_to_lattice);

}  // namespace smoothcert
