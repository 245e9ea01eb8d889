#!/bin/sh
# Removes from a virtual environment what no server and no pipeline step reads: the packages' own tests, headers and
# libraries for compiling against TensorFlow, installers.
set -eu
packages=$(echo "$1"/lib/python3.*/site-packages)
cd "$packages"
# numpy.testing and networkx import from their tests; both are small.
find . -type d -name tests -not -path './numpy/*' -not -path './networkx/*' -prune -exec rm -rf {} +
rm -rf tensorflow/include clang libclang-*.dist-info pip pip-*.dist-info
