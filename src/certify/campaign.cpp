// Certification into a store: what is there is not drawn again.
#include "smoothcert/campaign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <set>

#include "smoothcert/error.hpp"
#include "smoothcert/external_identity.hpp"
#include "smoothcert/version.hpp"
#include "store/index_set.hpp"

namespace smoothcert {

namespace {

using Clock = std::chrono::steady_clock;
// What is counted is on the disk that soon, however early the program is killed.
constexpr auto kFlushInterval = std::chrono::milliseconds(150);

std::set<std::uint32_t> images_of(const std::vector<Certificate>& certificates) {
  std::set<std::uint32_t> images;
  for (const Certificate& c : certificates) images.insert(c.image);
  return images;
}

// Counts depend neither on α nor on p̄_B: what a run at others holds is derived, not drawn.
std::uint64_t derive_from_siblings(ResultsStore& store, const RunInfo& run,
                                   const std::set<std::uint32_t>& wanted,
                                   std::set<std::uint32_t>& done) {
  if (run.settings.certify.sequential) return 0;  // its images stop where its own bounds say so
  if (kind_of(run.settings) == CertificateKind::exact) return 0;  // there is no other α
  const Rederivation ours{run.settings.certify.alpha, run.settings.certify.p_b};
  std::uint64_t derived = 0;
  for (const RunInfo& sibling : store.runs()) {
    RunSettings read_as_ours = sibling.settings;
    read_as_ours.certify = ours.of(sibling.settings.certify);
    if (sibling.id == run.id || run_key(read_as_ours) != run.key) continue;
    std::vector<Certificate> usable;
    for (Certificate& c : store.certificates(sibling.id)) {
      if (wanted.contains(c.image) && !done.contains(c.image)) usable.push_back(std::move(c));
    }
    if (usable.empty()) continue;
    for (const Certificate& c : rederive(sibling, usable, ours)) {
      store.add_certificate(run.id, c);
      done.insert(c.image);
      ++derived;
    }
  }
  return derived;
}

void record_subset(ResultsStore& store, const RunInfo& run,
                   const std::vector<std::uint32_t>& indices) {
  const std::string key = store::subset_document(run.key);
  const auto before = expected_indices(store, run.key);
  const auto after = store::index_union(before, indices);
  if (after != before) store.put_document(key, store::index_set_text(after));
}

// certify() with callbacks that may fail: the first failure stops the run and is thrown.
class GuardedCallbacks {
 public:
  GuardedCallbacks(std::stop_token outer, std::stop_source& inner)
      : inner_(inner), link_(std::move(outer), [&inner] { inner.request_stop(); }) {}

  template <class Action>
  void run(Action&& action) {
    const std::lock_guard lock(mutex_);
    if (failure_) return;
    try {
      action();
    } catch (...) {
      failure_ = std::current_exception();
      inner_.request_stop();
    }
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::mutex mutex_;
  std::stop_source& inner_;
  std::stop_callback<std::function<void()>> link_;
  std::exception_ptr failure_;
};

}  // namespace

RunSettings make_run_settings(const Network& network, const std::string& model_name,
                              const BackendModel& model, const Dataset& data,
                              const CertifySettings& settings) {
  RunSettings s;
  const auto* external = dynamic_cast<const ExternalForward*>(&model);
  if ((external != nullptr) != (settings.mode == Mode::external))
    throw UsageError(external != nullptr ? "the model is external: its runs are of mode external"
                                         : "mode external is for models outside this program");
  if (external != nullptr) {
    const ExternalIdentity identity = external->identity();
    s.model_hash = identity.hash;
    s.external = identity.record;
  } else {
    s.model_hash = model_hash(network);
  }
  s.model_name = model_name;
  s.regime = network.record.regime;
  s.training_sigma = network.record.sigma;
  s.dataset_name = data.name;
  s.dataset_split = data.split;
  s.dataset_hash = data.sha256.empty() ? dataset_hash(data) : data.sha256;
  s.shape = data.shape;
  s.classes = network.spec.classes;
  s.certify = settings;
  s.backend = model.describe_votes(vote_settings(settings, data.shape));
  s.precision = settings.mode == Mode::exact ? "exact-f32" : s.backend;
  s.arithmetic = kArithmetic;
  s.program_version = kVersion;
  if (data.rounded_to_lattice) s.pixels = "rounded";
  return s;
}

CertificationResult certify_into_store(ResultsStore& store, BackendModel& model,
                                       const CertificationRequest& request,
                                       const CertifyCallbacks& callbacks, std::stop_token stop) {
  validate(request.settings);
  for (const std::uint32_t i : request.indices) {
    if (i >= request.data.size()) {
      throw UsageError(fmt::format("image {} was asked for, but {} {} has {}", i, request.data.name,
                                   request.data.split, request.data.size()));
    }
  }
  if (auto* external = dynamic_cast<ExternalForward*>(&model);
      external != nullptr && !request.indices.empty())
    external->prepare(vote_settings(request.settings, request.data.shape),
                      request.data.image(request.indices.front()));
  CertificationResult result;
  result.run = store.find_or_create_run(make_run_settings(request.network, request.model_name,
                                                          model, request.data, request.settings));
  const RunInfo& run = result.run;
  const auto indices = store::index_union(request.indices, {});
  record_subset(store, run, store::index_union(request.all_indices, indices));

  const std::set<std::uint32_t> wanted(indices.begin(), indices.end());
  std::set<std::uint32_t> done = images_of(store.certificates(run.id));
  std::erase_if(done, [&](std::uint32_t i) { return !wanted.contains(i); });
  result.resumed_images = done.size();
  result.derived_images = derive_from_siblings(store, run, wanted, done);
  std::vector<std::uint32_t> todo;
  std::ranges::copy_if(indices, std::back_inserter(todo),
                       [&](std::uint32_t i) { return !done.contains(i); });
  std::vector<ChunkCounts> chunks = store.chunks(run.id);
  std::erase_if(chunks, [&](const ChunkCounts& c) {
    return !wanted.contains(c.image) || done.contains(c.image);
  });
  for (const ChunkCounts& c : chunks) result.resumed_samples += c.last - c.first;

  std::stop_source inner;
  GuardedCallbacks guard(std::move(stop), inner);
  Clock::time_point flushed{};  // never: the first result is written at once
  const auto flush_now_and_then = [&] {
    if (Clock::now() - flushed < kFlushInterval) return;
    store.flush();
    flushed = Clock::now();
  };
  CertifyCallbacks ours;
  ours.on_chunk = [&](const ChunkCounts& chunk) {
    guard.run([&] {
      store.add_chunk(run.id, chunk);
      flush_now_and_then();
      if (callbacks.on_chunk) callbacks.on_chunk(chunk);
    });
  };
  ours.on_certificate = [&](const Certificate& certificate) {
    guard.run([&] {
      store.add_certificate(run.id, certificate);
      // The store commits within a second by itself; who is killed sooner, again and again, would
      // never get anywhere.
      flush_now_and_then();
      ++result.certified_images;
      if (callbacks.on_certificate) callbacks.on_certificate(certificate);
    });
  };
  if (callbacks.on_progress) {
    ours.on_progress = [&](CertifyProgress progress) {
      progress.images_done += done.size();
      progress.images_total += done.size();
      guard.run([&] { callbacks.on_progress(progress); });
    };
  }
  if (!todo.empty()) {
    try {
      certify(model, request.data, todo, request.settings, chunks, ours, inner.get_token());
    } catch (...) {
      guard.rethrow();  // the cause, where stopping was our own doing
      store.flush();
      throw;
    }
  }
  guard.rethrow();
  store.flush();
  for (Certificate& c : store.certificates(run.id)) {
    if (wanted.contains(c.image)) result.certificates.push_back(std::move(c));
  }
  return result;
}

std::string CertificationResult::resumed_line() const {
  std::string line;
  if (resumed_images + resumed_samples > 0) {
    line = fmt::format("resumed {} of {} images", resumed_images, certificates.size());
    if (resumed_samples > 0) line += fmt::format(" and {} samples of others", resumed_samples);
  }
  if (derived_images > 0) {
    line += fmt::format("{}{} derived from counts of another alpha or p_B",
                        line.empty() ? "" : "; ", derived_images);
  }
  return line;
}

std::uint64_t recompute_into_store(ResultsStore& store, const Rederivation& with) {
  std::uint64_t added = 0;
  for (const RunInfo& source : store.runs()) {
    RunSettings settings = source.settings;
    settings.certify = with.of(source.settings.certify);
    if (run_key(settings) == source.key) continue;
    const std::vector<Certificate> derived = rederive(source, store.certificates(source.id), with);
    const RunInfo target = store.find_or_create_run(settings);
    record_subset(store, target, expected_indices(store, source.key));
    const std::set<std::uint32_t> present = images_of(store.certificates(target.id));
    for (const Certificate& c : derived) {
      if (present.contains(c.image)) continue;
      store.add_certificate(target.id, c);
      ++added;
    }
  }
  store.flush();
  return added;
}

}  // namespace smoothcert
