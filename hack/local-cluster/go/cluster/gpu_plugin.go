package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	dp "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

type plugin struct {
	dp.UnimplementedDevicePluginServer
	n int
}

func (p *plugin) GetDevicePluginOptions(context.Context, *dp.Empty) (*dp.DevicePluginOptions, error) {
	return &dp.DevicePluginOptions{}, nil
}
func (p *plugin) ListAndWatch(_ *dp.Empty, s grpc.ServerStreamingServer[dp.ListAndWatchResponse]) error {
	var d []*dp.Device
	for i := 0; i < p.n; i++ {
		d = append(d, &dp.Device{ID: fmt.Sprint("gpu-", i), Health: dp.Healthy})
	}
	if err := s.Send(&dp.ListAndWatchResponse{Devices: d}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}
func (p *plugin) Allocate(_ context.Context, r *dp.AllocateRequest) (*dp.AllocateResponse, error) {
	out := &dp.AllocateResponse{}
	for _, c := range r.ContainerRequests {
		out.ContainerResponses = append(out.ContainerResponses, &dp.ContainerAllocateResponse{Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": fmt.Sprint(c.DevicesIds)}})
	}
	return out, nil
}

func runGPUPlugin() int {
	dir := flag.String("dir", "", "device-plugins folder")
	n := flag.Int("n", 8, "devices")
	flag.Parse()
	sock := filepath.Join(*dir, "cadre-gpu.sock")
	os.Remove(sock)
	l, err := net.Listen("unix", sock)
	if err != nil {
		panic(err)
	}
	s := grpc.NewServer()
	dp.RegisterDevicePluginServer(s, &plugin{n: *n})
	go s.Serve(l)
	c, err := grpc.NewClient("unix://"+filepath.Join(*dir, "kubelet.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := dp.NewRegistrationClient(c).Register(ctx, &dp.RegisterRequest{Version: dp.Version, Endpoint: "cadre-gpu.sock", ResourceName: "nvidia.com/gpu"}); err != nil {
		panic(err)
	}
	select {}
}
