class TrainingLog:
    def __init__(self,file,total,done,show): self.f=open(file,'a'); self.t=0; self.avg=None; self.n=0
    def __enter__(self): return self
    def __exit__(self,*a): self.f.close()
    def step(self,step,words,loss,rate):
        import time
        l=float(loss); self.avg=l if self.avg is None else .98*self.avg+.02*l
        if step%100==0:
            now=time.time(); print(step,words,round(self.avg,3),f'{rate:.1e}', round((words-self.n)/(now-self.t)) if self.t else '',flush=True); self.t=now; self.n=words
    def scores(self,step,words,seconds,scores): print('VAL',step,words,round(seconds),scores,flush=True)
