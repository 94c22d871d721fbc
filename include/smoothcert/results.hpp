// The results store: one SQLite file (WAL, synchronous=FULL) with everything needed to repeat a run
// and to derive every radius again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "smoothcert/certificate.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/disproof.hpp"
#include "smoothcert/soundness.hpp"

namespace smoothcert {

/// What identifies a run. Two runs with equal settings are the same run: it is resumed, not
/// repeated. `backend` and times do not enter the identity in exact mode; in fast mode the kernel
/// does (Mode::fast is another classifier on every device).
struct RunSettings {
  std::string model_hash, model_name;
  std::string regime;  ///< from the training record, "" when unknown
  std::string dataset_name, dataset_split, dataset_hash;
  ImageShape shape;
  int classes = 0;
  CertifySettings certify;
  std::string precision;   ///< "exact-f32", or the fast kernel's arithmetic
  std::string arithmetic;  ///< version of noise and arithmetic; runs of different ones never mix
  std::string program_version;
  std::string backend;  ///< recorded, not part of the identity in exact mode
  double training_sigma = 0;
  /// What was done to the pixels before they were certified ("rounded": put on the lattice of
  /// n/255); empty: nothing. Part of the identity.
  std::string pixels;
  /// JSON object with what an external model ran on (framework, version, device, dtype, tile,
  /// determinism); empty for our own forward passes.
  std::string external;
};

/// How far the radii of a run with these settings hold.
inline Soundness soundness_of(const RunSettings& settings) {
  return soundness_of(settings.certify.noise, settings.certify.mode);
}
inline std::string guarantee_text(const RunSettings& settings) {
  return guarantee_text(settings.certify.noise, settings.certify.mode);
}

/// "stops within 5 %", "stops at 0.5", with the α it was stopped at where that is another; "" where
/// n was fixed.
std::string stopping_text(const CertifySettings& settings);

/// The identity as text ("model=… dataset=… sigma=…"), and its SHA-256: RunInfo::key.
std::string run_identity(const RunSettings& settings);
std::string run_key(const RunSettings& settings);

struct RunInfo {
  std::int64_t id = 0;
  RunSettings settings;
  std::string key;      ///< hash of the identity
  std::string started;  ///< ISO 8601, UTC
};

/// Safe to call from several threads, and several processes of one machine may write to one file:
/// each keeps the write lock for one short transaction at a time, and equal results are stored
/// once. On a file system that machines share (NFS, Lustre, GPFS, …) one process writes at a time,
/// and a second one is refused.
class ResultsStore {
 public:
  enum class Access { read_only, read_write };
  /// Gets one line for each row that contradicts itself: which row, and what is wrong with it.
  using FaultHandler = std::function<void(const std::string&)>;
  /// Creates the file where read_write and missing. Throws Error: unwritable, locked by another
  /// process, not a store, damaged, from a newer version.
  ///
  /// A row is a claim, and is checked whenever it is read: a run's key against its columns, counts
  /// against n0, n and their checksum, class, prediction and radius against the counts. Rows that
  /// fail are told to `on_fault` (each once) and left out; without a handler the first one is
  /// thrown as an Error.
  static std::unique_ptr<ResultsStore> open(const std::filesystem::path& file, Access access,
                                            FaultHandler on_fault = {});
  virtual ~ResultsStore() = default;

  /// The run with this identity, created when new.
  virtual RunInfo find_or_create_run(const RunSettings& settings) = 0;
  virtual std::vector<RunInfo> runs() const = 0;

  /// Throws Error where the chunk's counts do not add up to its samples. A chunk that overlaps a
  /// stored one, or whose image is finished, is not needed and not kept.
  virtual void add_chunk(std::int64_t run, const ChunkCounts& chunk) = 0;
  /// Stores the certificate and drops its chunks, in one transaction. Throws Error where its counts
  /// do not add up to n0 and n, or (here or from a later call) where the store holds the image with
  /// other counts.
  virtual void add_certificate(std::int64_t run, const Certificate& certificate) = 0;
  virtual std::vector<ChunkCounts> chunks(std::int64_t run) const = 0;
  virtual std::vector<Certificate> certificates(std::int64_t run) const = 0;  ///< by image index
  /// Stores the test of an image, at once. Throws Error where it contradicts itself, or where the
  /// store has another one for this image.
  virtual void add_disproof(std::int64_t run, const Disproof& disproof) = 0;
  virtual std::vector<Disproof> disproofs(std::int64_t run) const = 0;  ///< by image index
  /// Commits what is pending. Writes are committed in batches within a second of being added, by a
  /// thread of the store; a failure there (full disk) is thrown by the next call.
  virtual void flush() = 0;

  /// Anything a report needs beside certificates: small JSON documents by key (training history,
  /// attack tables), kept in the same file.
  virtual void put_document(const std::string& key, const std::string& json) = 0;
  virtual std::optional<std::string> document(const std::string& key) const = 0;
  virtual std::vector<std::string> document_keys() const = 0;

  /// Deletes every row that fails its checks, so that it is drawn again. Returns how many.
  virtual std::uint64_t remove_faulty_rows() = 0;

  /// What the user should know of where the store is ("on NFS; one process may write at a time"),
  /// "" where there is nothing.
  [[nodiscard]] virtual std::string note() const { return ""; }

  /// Sorted text of everything but times, devices and program versions: two stores are identical
  /// when these are (docs/results-store.md).
  virtual std::string canonical_dump() const = 0;
};

/// The images that the runs of this store are meant to hold, by run key; empty when not recorded.
std::vector<std::uint32_t> expected_indices(const ResultsStore& store, const std::string& run_key);

/// Whether the images of a run were chosen because the model is right about them without noise: its
/// shares are then of those alone. A mark beside the run, not part of its identity.
bool only_correct(const ResultsStore& store, const RunInfo& run);
void mark_only_correct(ResultsStore& store, const RunInfo& run, bool only);

/// What counts can be read with: what is not set stays as it was.
struct Rederivation {
  std::optional<double> alpha;
  std::optional<SecondBound> p_b;
  /// The settings with these in place; exact ones as they are: they have neither.
  [[nodiscard]] CertifySettings of(CertifySettings settings) const;
};

/// Certificates at another α, or with the other bound p̄_B, from the stored counts; nothing is
/// resampled. Throws Error: a run of another arithmetic, certificates without counts; UsageError:
/// α.
std::vector<Certificate> rederive(const RunInfo& run, const std::vector<Certificate>& stored,
                                  const Rederivation& with);

/// What the partial counts of a sequential run's unfinished images certify so far, by image: its
/// bounds hold at any number of samples. Images whose class is not yet selected, or whose label is
/// not known, are left out. Empty for runs whose n was fixed: their bounds hold at n alone.
std::vector<Certificate> interrupted_certificates(const RunInfo& run,
                                                  const std::vector<ChunkCounts>& chunks);

/// The norm of a run's radii, and whether they are certain.
inline Norm norm_of(const RunSettings& settings) {
  return noise_traits(settings.certify.noise).norm;
}
inline CertificateKind kind_of(const RunSettings& settings) {
  return noise_traits(settings.certify.noise).kind;
}

/// Norms in which an L2 radius r is a certificate too: the ball of that norm with the returned
/// radius lies in the L2 ball. L1: r. L∞: r/√d of d pixels (rounded down). L1 radii are not
/// converted: the L2 ball inside of them is smaller by √d.
double radius_in_norm(double l2_radius, Norm norm, std::size_t pixels);

/// The field's TSV: `idx label predict radius correct time`. Radii in full precision, or three
/// significant digits with `compat`, rounded down either way. Written atomically.
void export_tsv(const std::vector<Certificate>& certificates, const std::filesystem::path& file,
                bool compat);

}  // namespace smoothcert
