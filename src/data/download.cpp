// One URL into one file (libcurl): resumed, bounded, and given up where it stalls.
#include "data/download.hpp"

#include <curl/curl.h>
#include <fmt/core.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

#include "smoothcert/error.hpp"
#include "smoothcert/version.hpp"

namespace smoothcert {
namespace {

namespace fs = std::filesystem;

constexpr int kMostTries = 4;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

/// What one transfer knows while libcurl calls back.
struct Transfer {
  std::FILE* file = nullptr;
  std::uint64_t begun_at = 0, received = 0;
  const DownloadProgress* progress = nullptr;
  std::stop_token stop;
  int write_error = 0;
  bool too_large = false, stalled = false;
  // libcurl's own low-speed limit averages over its last five seconds; this one is exact.
  std::chrono::steady_clock::time_point window = std::chrono::steady_clock::now();
  std::uint64_t window_received = 0;
  DownloadLimits limits;
};

/// Whether too little came since the window opened; opens the next one.
bool stalls(Transfer& transfer) {
  const auto now = std::chrono::steady_clock::now();
  const std::chrono::seconds span(transfer.limits.stall_seconds);
  if (now - transfer.window < span) return false;
  const auto least = static_cast<std::uint64_t>(transfer.limits.slowest) *
                     static_cast<std::uint64_t>(transfer.limits.stall_seconds);
  transfer.stalled = transfer.received - transfer.window_received < least;
  transfer.window = now;
  transfer.window_received = transfer.received;
  return transfer.stalled;
}

std::size_t write_some(const char* bytes, std::size_t one, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t size = one * count;
  if (transfer.begun_at + transfer.received + size > transfer.limits.most_bytes) {
    transfer.too_large = true;
    return CURL_WRITEFUNC_ERROR;
  }
  if (std::fwrite(bytes, 1, size, transfer.file) != size) {
    transfer.write_error = errno;
    return CURL_WRITEFUNC_ERROR;
  }
  transfer.received += size;
  return size;
}

int tell_progress(void* user, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.stop.stop_requested() || stalls(transfer)) return 1;
  if (*transfer.progress && transfer.received > 0)
    (*transfer.progress)(
        transfer.begun_at + transfer.received,
        total > 0 ? transfer.begun_at + static_cast<std::uint64_t>(total) : std::uint64_t{0});
  return 0;
}

std::uint64_t size_of(const fs::path& file) {
  std::error_code absent;
  const auto size = fs::file_size(file, absent);
  return absent ? 0 : size;
}

struct Outcome {
  CURLcode code = CURLE_OK;
  long status = 0;  ///< HTTP
  std::uint64_t received = 0;
  std::string problem;  ///< in words
};

Outcome transfer_once(const std::string& url, const fs::path& part, const DownloadLimits& limits,
                      const DownloadProgress& progress, const std::stop_token& stop) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(),
                                                                   curl_easy_cleanup);
  if (ready != CURLE_OK || !handle) throw Error("libcurl could not be started");
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(part.c_str(), "abe"));
  if (!file) throw Error(fmt::format("cannot write {}: {}", part.string(), std::strerror(errno)));
  Transfer transfer{.file = file.get(),
                    .begun_at = size_of(part),
                    .progress = &progress,
                    .stop = stop,
                    .limits = limits};
  char words[CURL_ERROR_SIZE] = "";
  CURL* curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);  // other threads may be at work
  curl_easy_setopt(curl, CURLOPT_USERAGENT, fmt::format("smoothcert/{}", kVersion).c_str());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(limits.connect_seconds));
  curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(transfer.begun_at));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_some);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, tell_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);

  Outcome outcome;
  outcome.code = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &outcome.status);
  outcome.received = transfer.received;
  if (std::fflush(file.get()) != 0 && transfer.write_error == 0) transfer.write_error = errno;
  if (transfer.write_error != 0)
    throw Error(
        fmt::format("cannot write {}: {}", part.string(), std::strerror(transfer.write_error)));
  if (transfer.too_large)
    throw Error(fmt::format("more than the {} bytes expected", limits.most_bytes));
  if (outcome.code == CURLE_HTTP_RETURNED_ERROR)
    outcome.problem = fmt::format("HTTP {}", outcome.status);
  else if (transfer.stalled)
    outcome.problem = fmt::format("stalled for {} s", limits.stall_seconds);
  else
    outcome.problem = *words != '\0' ? words : curl_easy_strerror(outcome.code);
  return outcome;
}

}  // namespace

void download(const std::string& url, const fs::path& part, const DownloadLimits& limits,
              const DownloadProgress& progress, std::stop_token stop) {
  for (int tries = 1;; ++tries) {
    const std::uint64_t had = size_of(part);
    const Outcome outcome = transfer_once(url, part, limits, progress, stop);
    if (outcome.code == CURLE_OK) return;
    if (outcome.code == CURLE_ABORTED_BY_CALLBACK && stop.stop_requested())
      throw Interrupted("stopped while downloading; what came is kept, the same command goes on");
    const bool no_ranges = outcome.code == CURLE_RANGE_ERROR;
    const bool beyond_end = outcome.code == CURLE_HTTP_RETURNED_ERROR && outcome.status == 416;
    if (beyond_end && had > 0) return;  // all of it was there; the caller checks
    const bool broken = outcome.code == CURLE_PARTIAL_FILE || outcome.code == CURLE_RECV_ERROR;
    if (tries == kMostTries || !(no_ranges || (broken && outcome.received > 0)))
      throw Error(outcome.problem);
    if (no_ranges) fs::resize_file(part, 0);
  }
}

}  // namespace smoothcert
