#include "support/nats_server.h"

#include <cassert>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace encke::test {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  assert(bound);
  close(fd);
  return ntohs(address.sin_port);
}

bool Answers(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(port);
  char greeting = 0;
  const bool up = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                  recv(fd, &greeting, 1, 0) == 1;
  close(fd);
  return up;
}

}  // namespace

NatsServer::NatsServer() : port_(FreePort()) {
  std::string folder = std::filesystem::temp_directory_path() / "encke-nats-XXXXXX";
  const char* made = mkdtemp(folder.data());
  assert(made != nullptr);
  folder_ = made;
  Start();
}

NatsServer::~NatsServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void NatsServer::Start() {
  assert(pid_ == 0);
  const std::string port = std::to_string(port_);
  pid_ = fork();
  assert(pid_ >= 0);
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int sink = open("/dev/null", O_RDWR);
    dup2(sink, STDOUT_FILENO);
    dup2(sink, STDERR_FILENO);
    execlp("nats-server", "nats-server", "-js", "-sd", folder_.c_str(), "-a", "127.0.0.1", "-p",
           port.c_str(), nullptr);
    _exit(127);
  }
  for (int i = 0; i < 500 && !Answers(port_); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void NatsServer::Kill() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void NatsServer::Wipe() {
  assert(pid_ == 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    std::filesystem::remove_all(entry);
}

void NatsServer::Freeze() {
  kill(pid_, SIGSTOP);
  waitpid(pid_, nullptr, WUNTRACED);  // until it has stopped
}
void NatsServer::Thaw() { kill(pid_, SIGCONT); }

}  // namespace encke::test
