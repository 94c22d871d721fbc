// Everything one comparison found out: what `smoothcert compare` fills in, the results store keeps
// and the report shows. Plain data; a report needs nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "smoothcert/attack.hpp"
#include "smoothcert/certificate.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/label.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/summary.hpp"
#include "smoothcert/train.hpp"

namespace smoothcert {

/// The published study's own figures for a regime, on all 10,000 MNIST test images (n0 = 1,000,
/// n = 10,000, α = 0.05, σ = 1). A value < 0 was not published.
struct PublishedFigures {
  std::string_view regime;
  double correct_certified = -1;     ///< images of 10,000
  double avg_radius_certified = -1;  ///< mean radius over all images that did not abstain
  double clean_accuracy = -1;        ///< in [0,1]
  double l2_accuracy = -1;           ///< one-step L2, ε = 5, cross-entropy
  double linf_accuracy = -1;         ///< one-step L∞, ε = 0.3, cross-entropy
};

/// The study's figures, or nullptr for a regime it does not have.
const PublishedFigures* published_figures(std::string_view regime);

/// One model of the comparison. Parts that were not computed are empty.
struct StudyModel {
  std::string name;              ///< "normal", "adversarial", "smoothing"; unique in a study
  std::string file;              ///< of the model, relative to the folder; empty when unknown
  std::string hash;              ///< model_hash()
  std::string network;           ///< name of the description, "convnn"
  std::uint64_t parameters = 0;  ///< trainable ones
  TrainingRecord record;
  TrainHistory history;        ///< per step, epoch after epoch
  double clean_accuracy = -1;  ///< in [0,1], over StudyResult::attacked_images; −1 = unknown
  std::vector<AttackReport> attacks;      ///< in table order, each over the same images
  RunSettings run;                        ///< settings of the certification
  std::string run_key;                    ///< RunInfo::key of it in the store
  std::vector<Certificate> certificates;  ///< by image index, the same images for every model
  Summary summary;                        ///< of `certificates`
  double certify_seconds = 0;             ///< wall time, all sessions together
};

/// One test image as a model sees it: as it is, and attacked through that model (white box).
struct ShowcaseView {
  std::string model;  ///< StudyModel::name
  int prediction = 0;
  std::vector<std::uint8_t> l2, linf;  ///< adversarial pixels, CHW, rounded to 8 bits for display
  int l2_prediction = 0, linf_prediction = 0;  ///< of the unrounded adversarial image
  bool l2_zero_gradient = false, linf_zero_gradient = false;  ///< the attack had nothing to follow
};

struct ShowcaseImage {
  std::uint32_t image = 0;  ///< data-set index
  Label label = 0;
  std::vector<std::uint8_t> pixels;  ///< CHW
  std::vector<ShowcaseView> views;   ///< one a model, in the study's order
};

/// What smoothing does to one image: the first noisy copies of its estimation stage, exactly as
/// they were counted, and the certificate each model got for it.
struct NoiseDemonstration {
  std::uint32_t image = 0;
  Label label = 0;
  std::vector<std::uint8_t> pixels;               ///< CHW, the original
  std::vector<std::vector<std::uint8_t>> copies;  ///< noisy, clamped to [0, 255] for display
  struct Vote {
    std::string model;             ///< StudyModel::name
    std::vector<int> predictions;  ///< of the base classifier, one a copy
    Certificate certificate;       ///< counts of both stages, p̲, radius
  };
  std::vector<Vote> votes;  ///< one a model
};

/// The images a model certifies with another class than their label, the largest radius first.
struct WorstImages {
  struct Image {
    std::uint32_t image = 0;
    int label = 0, prediction = 0;
    double radius = 0;                 ///< in [0,1] pixel units
    std::vector<std::uint8_t> pixels;  ///< CHW
  };
  std::string model;  ///< StudyModel::name
  std::vector<Image> images;
};

/// The first `count` of them, with their pixels from `test`. Throws Error where a certificate is of
/// an image that `test` does not have.
WorstImages worst_images(const Dataset& test, const std::string& model,
                         std::span<const Certificate> certificates, std::size_t count);

struct StudyResult {
  std::string title;  ///< "MNIST, three ways of training"
  std::string program_version, arithmetic;
  std::string started;  ///< ISO 8601, UTC
  std::string command;  ///< that makes this study again
  std::string device;   ///< Backend::describe()

  std::string dataset_name, dataset_origin, train_hash, test_hash;
  bool stand_in_data = false;  ///< drawn by the program: its figures are not MNIST's
  ImageShape shape;
  int classes = 0;
  std::uint64_t train_images = 0, test_images = 0;

  CertifySettings certify;
  std::uint64_t certified_images = 0;
  std::string subset_note;  ///< which images were certified and why; empty when all were
  std::uint64_t attacked_images = 0;

  std::uint64_t train_seed = 0;
  double seconds_training = 0, seconds_attacks = 0, seconds_certify = 0;

  std::vector<StudyModel> models;  ///< normal, adversarial, smoothing
  std::vector<ShowcaseImage> showcase;
  std::vector<NoiseDemonstration> demonstrations;
  std::vector<WorstImages> worst;  ///< one a model; none in studies stored by older versions

  std::vector<std::string>
      notes;  ///< caveats every reader must see (α, stand-in data, a part of the test set)
};

/// `file` of the folder: results.sqlite.
inline constexpr std::string_view kResultsFile = "results.sqlite";

/// Keeps everything of `study` but the certificates (which the store already has) as documents.
void save_study(ResultsStore& store, const StudyResult& study);

/// Whether a store holds a finished study. Throws Error where it is no store.
bool holds_study(const std::filesystem::path& file);

/// The study of a folder written by `compare`: documents, certificates, summaries. Throws Error
/// when the folder has no results.sqlite, or no study in it.
StudyResult load_study(const std::filesystem::path& folder);

/// summary.json: the figures without the per-image parts.
std::string study_summary_json(const StudyResult& study);

/// The final comparison in the study's form, as plain text (one line a model and the caveats).
std::string study_table(const StudyResult& study);

/// "gradient masking": a PGD figure far below the one-step figure at the same ε. Empty otherwise.
/// One sentence a norm for which it holds.
std::vector<std::string> gradient_masking_notes(const StudyModel& model);

}  // namespace smoothcert
