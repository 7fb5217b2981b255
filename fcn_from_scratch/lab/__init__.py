"""Tools around the networks. Nothing outside lab, cli and the lessons imports them.

bench      how fast the networks run, compared with PyTorch, ONNX Runtime and OpenVINO
compare    all ways to a dense prediction, side by side
doctor     looks for mistakes in a setup, labels, weights or settings
mpi        training on several processes
published  the paper's tables
memory     how much memory is used and free
"""
