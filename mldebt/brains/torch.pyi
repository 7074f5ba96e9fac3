from torch import nn
class Tensor:
    def to(self, *args, **kwargs): return self
    def cuda(self, device=None): return self
    def cpu(self): return self
    def detach(self): return self
    def float(self): return self
class Generator:
    def manual_seed(self, seed): return self
class device: ...
