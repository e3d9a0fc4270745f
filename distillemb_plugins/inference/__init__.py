"""The forward passes of the students, in NumPy and through ONNX Runtime: no torch."""
