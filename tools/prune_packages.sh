#!/bin/sh
# Usage: prune_packages.sh VENV [PACKAGE...]
# Removes from a virtual environment what no server and no pipeline step reads: the packages' own tests, what compiles
# against TensorFlow or gRPC, installers, and the packages named. The image's build then imports what it serves with.
set -eu
cd "$1"/lib/python3.*/site-packages
shift
find . -type d -name tests -prune -exec rm -rf {} +
rm -rf tensorflow/include clang grpc_tools \
    pip setuptools pkg_resources wheel _distutils_hack distutils-precedence.pth "$@"
