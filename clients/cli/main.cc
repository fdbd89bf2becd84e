#include "clients/cli/app.h"
#include "clients/cli/environment.h"

int main(int argc, char** argv) {
  sendstep::cli::Environment environment = sendstep::cli::ProcessEnvironment();
  return sendstep::cli::RunApp(argc, argv, environment);
}
