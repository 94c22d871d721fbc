// The images a report shows: attacked ones, and noisy copies of one image.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "compare/models.hpp"

namespace smoothcert::compare_detail {

/// A model on its device, in the study's order.
struct LoadedModel {
  const StudyModel* model;
  BackendModel* loaded;
};

/// Up to `count` test images of different classes, those first that every model gets right as they
/// are, each with its L2 and L∞ one-step adversarial versions through each model.
std::vector<ShowcaseImage> make_showcase(const Dataset& test, std::span<const LoadedModel> models,
                                         std::span<const std::uint32_t> candidates,
                                         std::size_t count);

/// Two demonstrations: an image whose radius under the last model is the median of its correct
/// ones, and one on which that model abstains or errs (where there is one). `copies` noisy versions
/// each, and no more than the n samples that were counted.
std::vector<NoiseDemonstration> make_demonstrations(const Dataset& test,
                                                    std::span<const LoadedModel> models,
                                                    const VoteSettings& votes, std::uint64_t n,
                                                    std::size_t copies);

}  // namespace smoothcert::compare_detail
