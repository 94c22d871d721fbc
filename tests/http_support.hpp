// A web server of one thread on 127.0.0.1 that answers as it is told, well or badly.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace smoothcert::test {

struct Answer {
  int status = 200;
  std::vector<std::uint8_t> body;
  bool ranges = true;        ///< honours Range; otherwise sends everything with status 200
  std::int64_t cut_at = -1;  ///< closes the connection after so many bytes of the body
  bool stall = false;        ///< instead of closing, stays silent until the client gives up
};

struct Request {
  std::string path;
  std::uint64_t from = 0;  ///< of "Range: bytes=from-"
};

class LoopbackServer {
 public:
  LoopbackServer();
  ~LoopbackServer();
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  /// Answers of `path` in order; the last one goes on for ever. Unknown paths are 404.
  void serve(const std::string& path, std::vector<Answer> answers);
  /// "http://127.0.0.1:PORT"
  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::vector<Request> requests() const;

 private:
  void run();
  void answer(int connection);

  int listener_ = -1, stop_ = -1, port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<Answer>> answers_;
  std::vector<Request> requests_;
  std::thread thread_;
};

}  // namespace smoothcert::test
