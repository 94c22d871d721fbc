// A web server of a few lines for the tests of downloads.
#include "http_support.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace smoothcert::test {
namespace {

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

/// Whether `fd` has something before the server is told to stop.
bool wait_for(int fd, int stop) {
  pollfd fds[2] = {{fd, POLLIN, 0}, {stop, POLLIN, 0}};
  return ::poll(fds, 2, 10'000) > 0 && fds[1].revents == 0;
}

void send_all(int fd, const void* bytes, std::size_t size) {
  const char* at = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t sent = ::send(fd, at, size, MSG_NOSIGNAL);
    if (sent <= 0) return;
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

}  // namespace

LoopbackServer::LoopbackServer() {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  require(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  require(::listen(listener_, 16) == 0, "listen");
  require(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "name");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

LoopbackServer::~LoopbackServer() {
  const std::uint64_t one = 1;
  if (::write(stop_, &one, sizeof one) != sizeof one) std::abort();
  thread_.join();
  ::close(listener_);
  ::close(stop_);
}

void LoopbackServer::serve(const std::string& path, std::vector<Answer> answers) {
  const std::lock_guard lock(mutex_);
  answers_[path] = std::move(answers);
}

std::string LoopbackServer::url() const { return "http://127.0.0.1:" + std::to_string(port_); }

std::vector<Request> LoopbackServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void LoopbackServer::run() {
  for (;;) {
    pollfd fds[2] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0) return;
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    answer(connection);
    ::close(connection);
  }
}

void LoopbackServer::answer(int connection) {
  std::string text;
  char buffer[4096];
  while (text.find("\r\n\r\n") == std::string::npos) {
    if (!wait_for(connection, stop_)) return;
    const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  Request request{text.substr(4, text.find(' ', 4) - 4), 0};
  if (const auto range = text.find("\r\nRange: bytes="); range != std::string::npos)
    request.from = std::stoull(text.substr(range + 15));
  Answer answer{404, {}, true, -1, false};
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    if (auto found = answers_.find(request.path); found != answers_.end()) {
      answer = found->second.front();
      if (found->second.size() > 1) found->second.erase(found->second.begin());
    }
  }
  std::string head;
  std::uint64_t from = 0;
  const std::uint64_t size = answer.body.size();
  if (answer.status == 200 && answer.ranges && request.from > 0) {
    if (request.from >= size) {
      answer.status = 416;
      answer.body.clear();
    } else {
      answer.status = 206;
      from = request.from;
      head = "Content-Range: bytes " + std::to_string(from) + "-" + std::to_string(size - 1) + "/" +
             std::to_string(size) + "\r\n";
    }
  }
  const std::uint64_t length = answer.body.size() - from;
  head = "HTTP/1.1 " + std::to_string(answer.status) + " x\r\n" + head +
         "Content-Length: " + std::to_string(length) + "\r\nConnection: close\r\n\r\n";
  send_all(connection, head.data(), head.size());
  const std::uint64_t sent =
      answer.cut_at < 0 ? length : std::min(length, static_cast<std::uint64_t>(answer.cut_at));
  send_all(connection, answer.body.data() + from, sent);
  if (answer.stall) wait_for(connection, stop_);
}

}  // namespace smoothcert::test
